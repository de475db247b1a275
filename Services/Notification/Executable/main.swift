// SPDX-License-Identifier: Apache-2.0

import MartletNotification
import MartletServiceKit

await Executable.run(NotificationService.self)

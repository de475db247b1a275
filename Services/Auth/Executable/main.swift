// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletServiceKit

await Executable.run(AuthService.self)

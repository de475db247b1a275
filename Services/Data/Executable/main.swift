// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletServiceKit

await Executable.run(DataService.self)

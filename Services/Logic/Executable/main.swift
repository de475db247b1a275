// SPDX-License-Identifier: Apache-2.0

import MartletLogic
import MartletServiceKit

await Executable.run(LogicService.self)

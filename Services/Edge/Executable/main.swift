// SPDX-License-Identifier: Apache-2.0

import MartletEdge
import MartletServiceKit

await Executable.run(EdgeService.self)

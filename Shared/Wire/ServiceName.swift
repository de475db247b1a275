// SPDX-License-Identifier: Apache-2.0

/// The parties of the bus. `operator` is the command-line tool.
package enum ServiceName: String, Sendable, CaseIterable, Hashable {
    case edge
    case auth
    case data
    case logic
    case notification
    case `operator`
}

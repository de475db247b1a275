// SPDX-License-Identifier: Apache-2.0

/// The parties of the bus. `operator` is the command-line tool.
package enum ServiceName: String, Sendable, CaseIterable, Hashable {
    case edge
    case auth
    case data
    case logic
    case notification
    case `operator`

    /// Its place among all cases: for tables and sets that are asked with every request, where a dictionary would hash
    /// the name's text.
    package var place: Int {
        switch self {
        case .edge: 0
        case .auth: 1
        case .data: 2
        case .logic: 3
        case .notification: 4
        case .operator: 5
        }
    }
}

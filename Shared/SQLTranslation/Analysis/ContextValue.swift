// SPDX-License-Identifier: Apache-2.0

/// What the request supplies: SQLite parameters ?1 to ?5.
enum ContextValue: Int, Sendable {
    case userID = 1
    case role = 2
    case email = 3
    /// The claims as JSON text.
    case claims = 4
    /// Start of the request, µs since 1970 UTC.
    case now = 5
}

// SPDX-License-Identifier: Apache-2.0

package import MartletJSON

/// A change of one row of `auth.users` (D25, data-semantics 12).
package struct UserChange: Sendable, Equatable {
    /// Lower-case UUID.
    package var id: String
    /// Version of the row after the change. One that is not above the stored version changes nothing, for ever.
    package var version: Int64
    /// Whether the row is new. A change of an absent row never inserts.
    package var isCreation: Bool
    /// The changed columns, by their names in `auth.users`.
    package var columns: JSONObject

    package init(id: String, version: Int64, isCreation: Bool, columns: JSONObject) {
        self.id = id
        self.version = version
        self.isCreation = isCreation
        self.columns = columns
    }
}

/// What became of a `UserChange`.
package enum UserOutcome: Sendable, Equatable {
    /// The row after all triggers, as a JSON object of its columns, and its version.
    case stored(row: String, version: Int64)
    /// The stored version is the given one or a later one: nothing was done. The row as it stands.
    case stale(row: String, version: Int64)
    /// The row was deleted, or never existed and the change does not create it.
    case gone
    /// A trigger, check or key refused it; nothing was changed.
    case refused(RowError)
}

/// What became of a deletion.
package enum UserDeletion: Sendable, Equatable {
    /// The row is gone; a repeat is the same.
    case deleted
    /// A row that refers to the user, or a trigger, refused it; nothing was changed.
    case refused(RowError)
}

// SPDX-License-Identifier: Apache-2.0

/// A change of one row of `auth.users` (D25, data-semantics 12).
package struct UserChange: Sendable, Equatable {
    /// Lower-case UUID.
    package var id: String
    /// Version that the change was made on; 0 for a new user.
    package var baseVersion: Int64
    /// Version of the row after the change. One that is not above the stored version changes nothing, for ever.
    package var version: Int64
    /// Whether the row is new. A change of an absent row never inserts.
    package var isCreation: Bool
    /// The changed columns with their values in PostgreSQL's text form; nil is null.
    package var columns: [UserColumn]

    package init(id: String, baseVersion: Int64, version: Int64, isCreation: Bool, columns: [UserColumn]) {
        self.id = id
        self.baseVersion = baseVersion
        self.version = version
        self.isCreation = isCreation
        self.columns = columns
    }
}

/// A column of `auth.users`.
package struct UserColumn: Sendable, Equatable {
    package var name: String
    /// PostgreSQL's text form; nil is null.
    package var value: String?

    package init(_ name: String, _ value: String?) {
        self.name = name
        self.value = value
    }
}

/// What became of a `UserChange`.
package enum UserOutcome: Sendable, Equatable {
    /// The row after all triggers, and its version.
    case applied(row: [UserColumn], version: Int64)
    /// The stored version is the given one or a later one: nothing was done. The row as it stands.
    case unchanged(row: [UserColumn], version: Int64)
    /// The change was made on another version than the stored one: nothing was done. The row as it stands.
    case stale(row: [UserColumn], version: Int64)
    /// The row was deleted, or never existed and the change does not create it.
    case gone
    /// A trigger, check or key refused it; nothing was changed.
    case refused(RowError)
}

/// What became of a deletion.
package enum UserDeletion: Sendable, Equatable {
    case deleted
    /// There was no such row; a repeat of a deletion is this.
    case absent
    /// A row that refers to the user, or a trigger, refused it; nothing was changed.
    case refused(RowError)
}

/// A user that SQL made, changed or deleted: nobody asked auth.
package struct UserNews: Sendable, Equatable {
    package var number: Int64
    /// Lower-case UUID.
    package var id: String
    package var version: Int64
    /// The row as it stands; nil when it is gone.
    package var row: [UserColumn]?
}

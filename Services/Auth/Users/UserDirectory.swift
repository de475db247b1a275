// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// The rows of `auth.users` in the application's database (D25). The data service owns them; tests have their own.
package protocol UserDirectory: Sendable {
    /// Creates or changes a row. Repeating a change is harmless.
    ///
    /// - Throws: `DirectoryFailure`.
    func put(_ change: DirectoryChange, deadline: ContinuousClock.Instant) async throws(DirectoryFailure)
        -> DirectoryOutcome

    /// Deletes a row; one that is not there is deleted already.
    ///
    /// - Throws: `DirectoryFailure`.
    func delete(
        userID: String, version: Int64, trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> DirectoryOutcome

    /// Users that SQL made, changed or deleted, oldest first.
    ///
    /// - Parameter acknowledged: numbers of earlier ones, which are not given again.
    /// - Throws: `DirectoryFailure`.
    func changes(
        acknowledged: [UInt64], trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> [ForeignChange]
}

/// What SQL did to a row of `auth.users`, without asking auth.
package struct ForeignChange: Sendable, Equatable {
    package let number: UInt64
    package let userID: String
    package let version: Int64
    /// The row as it stands, in PostgreSQL's text form; nil when it is gone.
    package let columns: [String: String?]?

    package init(number: UInt64, userID: String, version: Int64, columns: [String: String?]?) {
        self.number = number
        self.userID = userID
        self.version = version
        self.columns = columns
    }
}

/// A change of one row of `auth.users`.
package struct DirectoryChange: Sendable, Equatable {
    package let userID: String
    package let isCreation: Bool
    /// Version that the change was made on; 0 for a new user.
    package let baseVersion: Int64
    /// Version after the change. One that is not above the stored version is done already.
    package let version: Int64
    /// The columns that change, by name, in PostgreSQL's text form; nil is null.
    package let columns: [String: String?]
    /// The request that asked for it.
    package let trace: TraceContext
}

/// What the directory did.
package enum DirectoryOutcome: Sendable, Equatable {
    /// It is done, now or by an earlier attempt; the row after the application's triggers, which auth adopts.
    case done(version: Int64, columns: [String: String?])
    /// The application's constraint, trigger or reference said no; nothing was done.
    case refused(sqlState: String, message: String)
    /// The row is deleted, or its version is not the one that the change was made on.
    case lost
}

/// The directory did not answer.
package struct DirectoryFailure: Error, Sendable, Equatable {
    /// It is certain that nothing was done and nothing will be.
    package let isCertain: Bool
    /// For the log.
    package let message: String

    package init(isCertain: Bool, message: String) {
        self.isCertain = isCertain
        self.message = message
    }
}

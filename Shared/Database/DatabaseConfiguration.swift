// SPDX-License-Identifier: Apache-2.0

/// Which engine a database runs on.
package enum DatabaseEngine: String, Sendable {
    case sqlite
    case postgres
}

/// What a database is opened with.
package struct DatabaseConfiguration: Sendable {
    package enum Location: Sendable, Equatable {
        /// A file, made when absent. It belongs to one process.
        case sqlite(path: String)
        /// A libpq connection URL.
        case postgres(url: String)
    }

    package var location: Location
    /// Reader connections on SQLite, each with its own thread. 1…64.
    package var readers: Int
    /// Connections on PostgreSQL, each with its own thread. 1…256.
    package var poolSize: Int
    /// Host functions, collations and aggregates that every SQLite connection gets.
    package var functions: [SQLiteFunction]
    package var collations: [SQLiteCollation]
    package var aggregates: [SQLiteAggregate]
    /// Statements that every new PostgreSQL connection runs, such as `set search_path`.
    package var startupStatements: [String]
    /// Whether SQLite checks foreign keys. False for a database that changes the schema, and then checks them itself:
    /// rebuilding a table means to drop it, which would take its children along.
    package var checksForeignKeys: Bool

    /// Who is shown the rows that writes change; SQLite's writer only, nil for nobody.
    package var capture: ChangeCapture?
    /// Puts the wake-up of one of SQLite's readers off while their caller has more to read; nil: never. A read takes
    /// some microseconds there, no more than the wake-up itself.
    package var deferWakeUp: WakeUpDeferral?

    package init(
        location: Location, readers: Int = 2, poolSize: Int = 8, functions: [SQLiteFunction] = [],
        collations: [SQLiteCollation] = [], aggregates: [SQLiteAggregate] = [], startupStatements: [String] = [],
        checksForeignKeys: Bool = true, capture: ChangeCapture? = nil
    ) {
        self.location = location
        self.readers = readers
        self.poolSize = poolSize
        self.functions = functions
        self.collations = collations
        self.aggregates = aggregates
        self.startupStatements = startupStatements
        self.checksForeignKeys = checksForeignKeys
        self.capture = capture
    }
}

/// Bounds of the database layer, with what happens when one is reached.
package enum DatabaseLimits {
    /// Work that waits for a connection; more is refused with 53300.
    package static let waitingMax = 4_096
    /// Writes that share one commit, so that the first does not wait for ever.
    package static let groupWritesMax = 256
    /// Time that one group collects and runs writes, in milliseconds.
    package static let groupMilliseconds: Int64 = 20
    /// Reads that share one transaction, and the time in which they begin, in milliseconds: the log of SQLite is not
    /// folded back into its file while one is open.
    package static let groupReadsMax = 64
    package static let groupReadMilliseconds: Int64 = 5
    /// Prepared statements that one connection keeps; the least recently used goes first.
    package static let statementsMax = 256
}

// SPDX-License-Identifier: Apache-2.0

/// What an engine's connection does for a session.
protocol SessionBackend: AnyObject {
    var engine: DatabaseEngine { get }
    func execute(_ sql: String, _ parameters: [SQLValue]) throws(DatabaseError) -> Int
    func forEachRow(
        _ sql: String, _ parameters: [SQLValue], _ body: (borrowing RowCursor) throws -> Bool
    ) throws
    func executeScript(_ sql: String) throws(DatabaseError)
    /// How many changes were captured so far, and the way back to there when a savepoint is rolled back.
    var captureMark: Int { get }
    func cutCapture(to mark: Int)
}

extension SessionBackend {
    // An engine whose server captures changes by triggers takes them back itself.
    var captureMark: Int { 0 }
    func cutCapture(to mark: Int) {}
}

/// A transaction, for as long as its closure runs, on the thread that owns the connection (D18).
///
/// Not `Sendable`: it must not leave the closure that received it.
package final class DatabaseSession {
    private let backend: any SessionBackend
    private var savepointDepth = 0
    /// What a write says about its cause to who receives its captured changes. Empty when the write begins.
    package var annotation = ""

    init(_ backend: any SessionBackend) { self.backend = backend }

    package var engine: DatabaseEngine { backend.engine }

    /// Runs one statement and returns the number of rows that it changed.
    @discardableResult
    package func execute(_ sql: String, _ parameters: [SQLValue] = []) throws(DatabaseError) -> Int {
        try backend.execute(sql, parameters)
    }

    /// Runs one statement and returns all its rows. For results of bounded size; else `forEachRow`.
    package func query(_ sql: String, _ parameters: [SQLValue] = []) throws(DatabaseError) -> [SQLRow] {
        var rows: [SQLRow] = []
        do {
            try backend.forEachRow(sql, parameters) { cursor in
                let names = rows.last?.columnNames ?? (0..<cursor.columnCount).map { cursor.columnName($0) }
                rows.append(SQLRow(values: (0..<cursor.columnCount).map { cursor.value($0) }, names: names))
                return true
            }
        } catch let error as DatabaseError {
            throw error
        } catch {
            throw DatabaseError(sqlState: "XX000", message: "\(error)")
        }
        return rows
    }

    /// Steps through the rows without copying them. `body` returns false to stop; what it throws is passed on.
    package func forEachRow(
        _ sql: String, _ parameters: [SQLValue] = [], _ body: (borrowing RowCursor) throws -> Bool
    ) throws {
        try backend.forEachRow(sql, parameters, body)
    }

    /// Runs several statements without parameters, such as a migration.
    package func executeScript(_ sql: String) throws(DatabaseError) { try backend.executeScript(sql) }

    /// Runs `body` in a savepoint: what it changed is undone when it throws.
    package func savepoint<Result>(_ body: () throws -> Result) throws -> Result {
        savepointDepth += 1
        let name = "martlet_inner_\(savepointDepth)"
        defer { savepointDepth -= 1 }
        try execute("savepoint \(name)")
        let mark = backend.captureMark
        let result: Result
        do {
            result = try body()
        } catch {
            // When the engine has already rolled the whole transaction back, there is no savepoint to go back to,
            // and the first error is the one that counts.
            _ = try? execute("rollback to savepoint \(name)")
            #if !MUTANT_LOG_ROLLBACK_KEPT
                backend.cutCapture(to: mark)
            #endif
            _ = try? execute("release savepoint \(name)")
            throw error
        }
        try execute("release savepoint \(name)")
        return result
    }
}

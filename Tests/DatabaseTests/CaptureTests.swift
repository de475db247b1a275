// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletDatabase
import Synchronization
import Testing

/// What SQLite's writer shows of the rows that it changes, and what it must not show.
@Suite("Change capture")
struct CaptureTests {
    /// A database whose captured rows go into its own table `log`, as the data service does it.
    private func with(_ body: (Database) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let capture = ChangeCapture { session, changes in
            for change in changes {
                let text = "\(change.operation) \(Self.text(change.old))>\(Self.text(change.new))"
                try session.execute("insert into log (text) values ($1)", [.text(text)])
            }
        }
        capture.replaceTables(["t", "log"])
        let database = try Database(
            DatabaseConfiguration(
                location: .sqlite(path: folder.appendingPathComponent("test.db").path), capture: capture))
        do {
            try await database.write { session in
                try session.executeScript(
                    """
                    create table t (id integer primary key, v text, d text generated always as (v || '!') stored) strict;
                    create table other (id integer primary key) strict;
                    create table log (text text not null) strict;
                    create table parent (id integer primary key) strict;
                    create table child (p integer references parent (id) deferrable initially deferred) strict
                    """)
            }
            // The log itself is written by the sink only, after the rows were taken: it must not show itself.
            capture.replaceTables(["t"])
            try await body(database)
            await database.close()
        } catch {
            await database.close()
            throw error
        }
    }

    private static func text(_ row: [SQLValue]?) -> String {
        (row ?? []).map { $0.textValue ?? "-" }.joined(separator: ",")
    }

    private func logged(_ database: Database) async throws -> [String] {
        try await database.read { try $0.query("select text from log order by rowid").map { $0[0].textValue ?? "" } }
    }

    @Test("Every changed row is shown with its old and new values, an unfiltered DELETE row by row")
    func rows() async throws {
        try await with { database in
            try await database.write { session in
                try session.execute("insert into t (id, v) values (1, 'a'), (2, null)")
                try session.execute("insert into other values (1)")
                try session.execute("update t set v = 'b' where id = 1")
                try session.execute("delete from t")
            }
            let seen = try await logged(database)
            #expect(
                seen == [
                    "insert >1,a,a!", "insert >2,-,-", "update 1,a,a!>1,b,b!", "delete 1,b,b!>", "delete 2,-,->",
                ])
        }
    }

    @Test("What a savepoint takes back is not shown; what stands before and after it is")
    func savepoint() async throws {
        try await with { database in
            struct Undo: Error {}
            try await database.write { session in
                try session.execute("insert into t (id) values (1)")
                _ = try? session.savepoint {
                    try session.execute("insert into t (id) values (2)")
                    _ = try session.savepoint { try session.execute("insert into t (id) values (3)") }
                    throw Undo()
                }
                _ = try session.savepoint { try session.execute("insert into t (id) values (4)") }
            }
            #expect(try await logged(database) == ["insert >1,-,-", "insert >4,-,-"])
        }
    }

    @Test("A write that fails leaves nothing, neither for itself nor for the next one")
    func failure() async throws {
        try await with { database in
            await #expect(throws: DatabaseError.self) {
                try await database.write { session in
                    try session.execute("insert into t (id) values (1)")
                    try session.execute("insert into t (id) values (1)")
                }
            }
            // A broken deferred key is found after the log was written.
            await #expect(throws: DatabaseError.self) {
                try await database.write { session in
                    try session.execute("insert into t (id) values (2)")
                    try session.execute("insert into child values (99)")
                }
            }
            // As after a full disk: the whole transaction is gone.
            await #expect(throws: DatabaseError.self) {
                try await database.write { session in
                    try session.execute("insert into t (id) values (3)")
                    try session.execute("insert or rollback into t (id) values (5), (5)")
                }
            }
            try await database.write { try $0.execute("insert into t (id) values (6)") }
            #expect(try await logged(database) == ["insert >6,-,-"])
        }
    }

    @Test("Writes that share a commit keep their changes apart")
    func group() async throws {
        try await with { database in
            await withTaskGroup(of: Void.self) { group in
                for id in 1...60 {
                    group.addTask {
                        _ = try? await database.write { session in
                            try session.execute("insert into t (id) values ($1)", [.integer(Int64(id))])
                            if id % 3 == 0 {
                                try session.execute("insert into t (id) values ($1)", [.integer(Int64(id))])
                            }
                        }
                    }
                }
            }
            let expected = (1...60).filter { $0 % 3 != 0 }.map { "insert >\($0),-,-" }
            let seen = try await logged(database)
            #expect(seen.sorted() == expected.sorted())
        }
    }
}

/// The storage side of a consumer of a log, on both engines.
@Suite("Log consumer")
struct LogConsumerTests {
    private struct Failure: Error {}
    private let consumer = LogConsumer(name: "test", stream: "rows")

    private func with(_ engine: DatabaseEngine, _ body: (Database) async throws -> Void) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { session in
                try session.executeScript(LogConsumer.table + "create table seen (n bigint primary key)")
            }
            try await body(database)
        }
    }

    private func apply(_ numbers: ClosedRange<Int64>, epoch: Int64 = 7, failsAt: Int64? = nil, _ database: Database)
        async throws
    {
        try await database.write { [consumer] session in
            try consumer.apply(numbers.map { (sequence: $0, entry: $0) }, epoch: epoch, in: session) { number in
                if number == failsAt { throw Failure() }
                try session.execute("insert into seen values ($1)", [.integer(number)])
            }
        }
    }

    @Test(
        "Effect and cursor stand or fall together, and what comes twice takes effect once",
        arguments: TestDatabase.engines)
    func once(_ engine: DatabaseEngine) async throws {
        try await with(engine) { database in
            try await database.write { [consumer] in try consumer.start(at: LogCursor(epoch: 7, sequence: 10), in: $0) }
            try await apply(11...13, database)
            try await apply(11...14, database)
            await #expect(throws: Failure.self) { try await apply(15...18, failsAt: 17, database) }
            let (seen, cursor) = try await database.read { [consumer] session in
                (
                    try session.query("select n from seen order by n").map { $0[0].integerValue },
                    try consumer.cursor(in: session)
                )
            }
            #expect(seen == [11, 12, 13, 14])
            #expect(cursor == LogCursor(epoch: 7, sequence: 14))
        }
    }

    @Test("A hole, another epoch and a missing cursor are refused", arguments: TestDatabase.engines)
    func refusals(_ engine: DatabaseEngine) async throws {
        try await with(engine) { database in
            await #expect(throws: LogConsumerError.notStarted) { try await apply(1...2, database) }
            try await database.write { [consumer] in try consumer.start(at: LogCursor(epoch: 7, sequence: 10), in: $0) }
            await #expect(throws: LogConsumerError.gap(expected: 11, found: 12)) { try await apply(12...13, database) }
            await #expect(throws: LogConsumerError.epoch(expected: 7, found: 8)) {
                try await apply(11...12, epoch: 8, database)
            }
        }
    }
}

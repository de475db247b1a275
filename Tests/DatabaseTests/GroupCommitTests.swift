// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletDatabase
import Synchronization
import Testing

/// The traps of group commit on SQLite (D20), and what it promises.
@Suite("Group commit")
struct GroupCommitTests {
    /// Holds the writer inside a first write until `count` more wait behind it, so that they share one transaction.
    private func together(
        _ database: Database, _ writes: [@Sendable (DatabaseSession) throws -> Void]
    ) async throws -> [(any Error)?] {
        let entered = DispatchSemaphore(value: 0)
        let gate = DispatchSemaphore(value: 0)
        let results = try await withThrowingTaskGroup(of: (Int, (any Error)?).self) { group in
            group.addTask {
                _ = try await database.write(alone: true) { _ in
                    entered.signal()
                    gate.wait()
                    // Open for good: the closure may run more than once.
                    gate.signal()
                }
                return (-1, nil)
            }
            try await database.read { _ in entered.wait() }
            for (position, write) in writes.enumerated() {
                group.addTask {
                    do {
                        try await database.write { try write($0) }
                        return (position, nil)
                    } catch {
                        return (position, error)
                    }
                }
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while database.waiting < writes.count, ContinuousClock.now < deadline { await Task.yield() }
            gate.signal()
            return try await group.reduce(into: [Int: (any Error)?]()) { $0[$1.0] = $1.1 }
        }
        return writes.indices.map { results[$0] ?? nil }
    }

    @Test("A deferred foreign key fails its own write and not its neighbours (D20a)")
    func deferredForeignKey() async throws {
        try await TestDatabase.with(.sqlite) { database in
            try await database.write { session in
                try session.executeScript(
                    """
                    create table parent (id integer primary key) strict;
                    create table child (p integer references parent (id) deferrable initially deferred) strict
                    """)
            }
            let runs = Mutex(0)
            let errors = try await together(
                database,
                [
                    {
                        runs.withLock { $0 += 1 }
                        try $0.execute("insert into parent values (1)")
                    },
                    { try $0.execute("insert into child values (99)") },
                    { try $0.execute("insert into parent values (2)") },
                ])
            #expect(errors[0] == nil && errors[2] == nil)
            #expect((errors[1] as? DatabaseError)?.sqlState == "23503")
            // The culprit is found before COMMIT: the neighbours' work is not done twice.
            #expect(runs.withLock { $0 } == 1)
            let counts = try await database.read {
                try $0.query("select (select count(*) from parent), (select count(*) from child)")[0].values
            }
            #expect(counts == [.integer(2), .integer(0)])
        }
    }

    @Test("A write that rolls the whole transaction back fails alone; the others run again (D20b)")
    func lostTransaction() async throws {
        try await TestDatabase.with(.sqlite) { database in
            try await database.write { try $0.executeScript("create table t (id integer primary key) strict") }
            let errors = try await together(
                database,
                [
                    { try $0.execute("insert into t values (1)") },
                    // ON CONFLICT ROLLBACK ends the transaction as a full disk or an I/O error does.
                    { try $0.execute("insert or rollback into t values (5), (5)") },
                    { try $0.execute("insert into t values (2)") },
                ])
            #expect(errors[0] == nil && errors[2] == nil)
            #expect((errors[1] as? DatabaseError)?.sqlState == "23505")
            let ids = try await database.read { try $0.query("select id from t order by id").map { $0[0].integerValue } }
            #expect(ids == [1, 2])
        }
    }

    @Test("A bulk write shares its commit with nobody, and everything is there at the end (D20c)")
    func alone() async throws {
        try await TestDatabase.with(.sqlite) { database in
            try await database.write { try $0.executeScript("create table t (id integer primary key) strict") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in 0..<60 {
                    group.addTask {
                        _ = try await database.write(alone: id % 20 == 0) { session in
                            try session.execute("insert into t values ($1)", [.integer(Int64(id))])
                        }
                    }
                }
                try await group.waitForAll()
            }
            let count = try await database.read { try $0.query("select count(*) from t")[0][0] }
            #expect(count == .integer(60))
        }
    }

    @Test("Nothing is acknowledged before another connection can see it")
    func acknowledgedAfterCommit() async throws {
        try await TestDatabase.with(.sqlite) { database in
            try await database.write { try $0.executeScript("create table t (id integer primary key) strict") }
            for id in 0..<50 {
                try await database.write { try $0.execute("insert into t values ($1)", [.integer(Int64(id))]) }
                let seen = try await database.read {
                    try $0.query("select 1 from t where id = $1", [.integer(Int64(id))]).count
                }
                #expect(seen == 1)
            }
        }
    }

    @Test("A host function's error keeps its SQLSTATE, and its value is used")
    func hostFunction() async throws {
        let half = SQLiteFunction("martlet_half", arguments: 1) { arguments in
            guard let value = arguments[0].integerValue else {
                throw DatabaseError(sqlState: "22P02", message: "no integer", detail: "half of it")
            }
            return .text(value == 0 ? "" : "\(value / 2)")
        }
        try await TestDatabase.with(.sqlite, functions: [half]) { database in
            let row = try await database.read { try $0.query("select martlet_half(84), martlet_half(0)")[0] }
            #expect(row.values == [.text("42"), .text("")])
            let error = await #expect(throws: DatabaseError.self) {
                try await database.read { try $0.query("select martlet_half('x')") }
            }
            #expect(error == DatabaseError(sqlState: "22P02", message: "no integer", detail: "half of it"))
        }
    }
}

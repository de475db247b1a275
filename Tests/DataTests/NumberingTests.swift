// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import MartletData
import MartletDatabase
import MartletJSON
import Synchronization
import Testing

/// How PostgreSQL's captured changes get their places, with transactions that overlap and replicas that number at once.
@Suite("Numbering of the change log on PostgreSQL", .timeLimit(.minutes(2)))
struct NumberingTests {
    private static let migration = """
        create table note (id bigint primary key, n bigint not null);
        insert into note select i, 0 from generate_series(1, 3) as i;
        alter publication supabase_realtime add table note;
        """

    /// Two engines on one database, as two replicas of the data service have them, and the database's URL.
    private static func withTwo(_ body: (PostgresEngine, PostgresEngine, String) async throws -> Void) async throws {
        try await TestEngine.withPostgresDatabase { url in
            let first = try await PostgresEngine.open(url: url, poolSize: 2)
            let file = MigrationFile(version: "20260101000000", fileName: "20260101000000_note.sql", sql: migration)
            _ = try await first.migrate([file], requiresRowSecurity: false)
            try await first.numberLog()
            let second = try await PostgresEngine.open(url: url, poolSize: 2)
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(first, second, url)) } catch { outcome = .failure(error) }
            await first.close()
            await second.close()
            try outcome.get()
        }
    }

    private static func entries(_ engine: PostgresEngine) async throws -> [LogEntry] {
        let head = try await engine.log.head("rows")
        let pulled = try await engine.log.pull(
            "rows", epoch: head.epoch, after: 0, entriesMax: 10_000, bytesMax: 1 << 24, deadline: nil)
        guard case .entries(let entries, _) = pulled else {
            Issue.record("the log was trimmed")
            return []
        }
        return entries
    }

    private static func record(_ entry: LogEntry) throws -> JSONObject {
        try #require(try JSONValue(parsing: entry.body).objectValue?["record"]?.objectValue)
    }

    @Test("A transaction that commits late is not passed over, and its changes stand together")
    func reverseCommits() async throws {
        try await Self.withTwo { engine, _, url in
            let early = try SQLSession(url)
            let late = try SQLSession(url)
            let start = try await Self.entries(engine).count
            // Drawn in this order: late, early, late.
            try await late.run("begin; insert into note values (11, 0)")
            try await early.run("begin; insert into note values (21, 0)")
            try await late.run("insert into note values (12, 0)")
            try await early.run("commit")
            try await engine.numberLog()
            #expect(try await Self.entries(engine).dropFirst(start).map(\.key) == ["[21]"])
            try await late.run("commit")
            try await engine.numberLog()
            #expect(try await Self.entries(engine).dropFirst(start).map(\.key) == ["[21]", "[11]", "[12]"])

            // The same with one turn for both: whole transactions, that of the last change last.
            try await late.run("begin; insert into note values (13, 0)")
            try await early.run("begin; insert into note values (22, 0); insert into note values (23, 0); commit")
            try await late.run("insert into note values (14, 0); commit")
            try await engine.numberLog()
            let entries = try await Self.entries(engine).dropFirst(start + 3)
            #expect(entries.map(\.key) == ["[22]", "[23]", "[13]", "[14]"])
            #expect(Set(entries.prefix(2).map(\.transaction)).count == 1)
            #expect(Set(entries.suffix(2).map(\.transaction)).count == 1)
            try await early.end()
            try await late.end()
        }
    }

    @Test("Two replicas that number at once give each change one place, without a hole")
    func twoNumberers() async throws {
        try await Self.withTwo { first, second, url in
            let start = try await Self.entries(first).count
            let writers = try Database(DatabaseConfiguration(location: .postgres(url: url), poolSize: 6))
            try await withThrowingTaskGroup(of: Void.self) { group in
                let isOver = SharedFlag()
                // Both number before anything is written, and until everything is.
                for engine in [first, second] {
                    let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
                    group.addTask {
                        while !isOver.value, !Task.isCancelled {
                            try await engine.numberLog()
                            beginning.finish()
                            await Task.yield()
                        }
                    }
                    for await _ in begun {}
                }
                try await withThrowingTaskGroup(of: Void.self) { load in
                    for writer in 1...6 {
                        load.addTask {
                            for round in 1...20 {
                                try await writers.write(alone: true) { session in
                                    let id = writer * 1_000 + round * 10
                                    try session.execute("insert into note values (\(id), 0)")
                                    try session.execute("select pg_sleep(\(round % 3 == 0 ? 0.01 : 0))")
                                    try session.execute("update note set n = n + 1 where id = \(1 + round % 3)")
                                    try session.execute("insert into note values (\(id + 1), 0)")
                                }
                            }
                        }
                    }
                    try await load.waitForAll()
                }
                isOver.raise()
                try await group.waitForAll()
            }
            await writers.close()
            try await second.numberLog()

            let entries = try await Self.entries(first)
            #expect(entries.map(\.sequence) == Array(1...Int64(entries.count)))
            let written = Array(entries.dropFirst(start))
            #expect(written.count == 6 * 20 * 3)
            let inserted = written.filter { $0.type == "row.insert" }.map(\.key)
            #expect(Set(inserted).count == inserted.count && inserted.count == 6 * 20 * 2)
            // What one transaction changed stands together, in its order.
            for place in stride(from: 0, to: written.count - 2, by: 3) {
                let three = written[place..<place + 3]
                #expect(Set(three.map(\.transaction)).count == 1)
                #expect(three.map(\.type) == ["row.insert", "row.update", "row.insert"])
            }
            // The changes of one row are in the order in which it changed.
            var counts: [String: Int64] = [:]
            for entry in written where entry.type == "row.update" {
                let count = try #require(try Self.record(entry)["n"]?.int64Value)
                #expect(count == (counts[entry.key] ?? 0) + 1, "\(entry.key)")
                counts[entry.key] = count
            }
            #expect(counts.values.reduce(0, +) == 6 * 20)
        }
    }

    @Test("A replica that dies while it numbers leaves nothing behind, and the other goes on")
    func deadNumberer() async throws {
        try await Self.withTwo { engine, _, url in
            let start = try await Self.entries(engine).count
            let dying = try SQLSession(url)
            try await dying.run(
                """
                insert into note values (31, 0);
                begin;
                update martlet.log_head set head = head + 1 where stream = 'rows';
                delete from martlet.outbox
                """)
            async let turn: Void = engine.numberLog()
            let waits = "wait_event_type = 'Lock' and datname = current_database()"
            try await SQLSession.eventually(url, "select from pg_stat_activity where \(waits)")
            dying.kill()
            try await turn
            let entries = try await Self.entries(engine)
            #expect(entries.map(\.sequence) == Array(1...Int64(start + 1)))
            #expect(entries.last?.key == "[31]")
        }
    }

    @Test(
        "Another cluster, another timeline and another database each begin a new epoch",
        arguments: ["1//", "/0000007F/", "//1"])
    func lineage(changed: String) async throws {
        try await Self.withTwo { engine, _, url in
            let before = try await engine.log.head("rows")
            try await TestEngine.run(url, "insert into note values (41, 0)")
            try await engine.numberLog()
            #expect(try await engine.log.head("rows").epoch == before.epoch)

            // As if what is stored had been written by a database with another history.
            let parts = changed.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let stored = parts.enumerated().map { place, part in
                part.isEmpty ? "split_part(value, '/', \(place + 1))" : "'\(part)'"
            }
            try await TestEngine.run(
                url,
                "update martlet.meta set value = \(stored.joined(separator: "||'/'||")) where key = 'lineage'")
            try await TestEngine.run(url, "insert into note values (42, 0)")
            try await engine.numberLog()
            let after = try await engine.log.head("rows")
            #expect(after.epoch > before.epoch && after.head == 1 && after.trimmed == 0)
            #expect(try await Self.entries(engine).map(\.key) == ["[42]"])
            let pulled = try await engine.log.pull(
                "rows", epoch: before.epoch, after: before.head, entriesMax: 1, bytesMax: 1, deadline: nil)
            #expect(pulled == .snapshotRequired(after))
            // Once.
            try await TestEngine.run(url, "insert into note values (43, 0)")
            try await engine.numberLog()
            #expect(try await engine.log.head("rows").epoch == after.epoch)
        }
    }

    @Test("A copy of a database begins a new epoch at its start, the same database does not")
    func copy() async throws {
        try await TestEngine.withPostgresDatabase { url in
            var engine = try await PostgresEngine.open(url: url, poolSize: 2)
            let before = try await engine.log.head("rows")
            await engine.close()
            engine = try await PostgresEngine.open(url: url, poolSize: 2)
            #expect(try await engine.log.head("rows") == before)
            await engine.close()
            let slash = try #require(url.split(separator: "?").first?.lastIndex(of: "/"))
            let name = url[url.index(after: slash)...].prefix { $0 != "?" }
            let server = url.replacing("/\(name)", with: "/postgres")
            try await TestEngine.run(server, "create database \(name)_copy template \(name)")
            let copied = try await PostgresEngine.open(url: url.replacing(name, with: "\(name)_copy"), poolSize: 2)
            let after = try await copied.log.head("rows")
            #expect(after.epoch > before.epoch && after.head == 0)
            await copied.close()
            try await TestEngine.run(server, "drop database \(name)_copy")
        }
    }
}

/// A connection that keeps its transaction open between statements.
private final class SQLSession {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var count = 0

    init(_ url: String) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", url]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    deinit { if process.isRunning { process.terminate() } }

    /// Returns when the statements are done; none of them may wait for a lock.
    func run(_ sql: String) async throws {
        count += 1
        try input.fileHandleForWriting.write(contentsOf: Data("\(sql);\n\\echo done \(count)\n".utf8))
        var seen = ""
        while !seen.contains("done \(count)\n") {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "psql ended: \(sql)")
            seen += String(decoding: data, as: UTF8.self)
        }
    }

    func end() async throws {
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    func kill() { Glibc.kill(process.processIdentifier, SIGKILL) }

    /// Waits until the query returns a row.
    static func eventually(_ url: String, _ query: String) async throws {
        let watcher = try Database(DatabaseConfiguration(location: .postgres(url: url), poolSize: 1))
        let deadline = ContinuousClock.now + .seconds(20)
        while try await watcher.read({ try $0.query(query).isEmpty }) {
            try #require(ContinuousClock.now < deadline, "\(query) did not become true")
            try await Task.sleep(for: .milliseconds(10))
        }
        await watcher.close()
    }
}

private final class SharedFlag: Sendable {
    private let state = Mutex(false)
    var value: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import MartletDatabase
import MartletJSON
import MartletServiceKit
import MartletWire
import Testing

@testable import MartletCommand

@Suite("martlet events", .timeLimit(.minutes(2)), .serialized)
struct EventsTests {
    private static func lines(_ text: String) throws -> [JSONValue] {
        try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }

    @Test("It prints the changes of a suite in five processes, and keeps each once in a file")
    func reads() async throws {
        let stack = try Stack(.five)
        try stack.write(
            "migrations/20260101000001_publish.sql", "alter publication supabase_realtime add table \(stack.table);\n")
        let program = try await stack.start()
        let key = try #require(try await stack.keys()["service_role"]?.stringValue)
        func insert(_ id: Int) throws {
            let answer = try stack.request(
                "POST", "/rest/v1/\(stack.table)", key: key, body: "{\"id\":\(id),\"name\":\"thing \(id)\"}")
            #expect(answer.hasPrefix("HTTP/1.1 201"), "\(answer)")
        }
        try insert(1)
        let printed = try await Program.run(["events"], environment: stack.environment)
        #expect(printed.status == 0, "\(printed.complaints)")
        let all = try Self.lines(printed.printed)
        let row = try #require(all.last { $0["type"] == "row.insert" })
        #expect(row["key"]?.text == "[1]")
        #expect(row["headers"]?["table"]?.stringValue == stack.table)
        #expect(row["body"]?["record"]?["name"] == "thing 1")

        let file = stack.folder + "/events.jsonl"
        let arguments = ["events", "--into", file]
        for id in 2...3 {
            try insert(id)
            let run = try await Program.run(arguments, environment: stack.environment)
            #expect(run.status == 0, "\(run.complaints)")
            #expect(run.printed.isEmpty)
        }
        let follower = try Program(arguments + ["--follow"], environment: stack.environment)
        try insert(4)
        try await eventually("the fourth row; seen: \(follower.complaints)") {
            (try? String(contentsOfFile: file, encoding: .utf8))?.contains("thing 4") == true ? true : nil
        }
        let busy = try await Program.run(arguments, environment: stack.environment)
        #expect(busy.status == 75 && busy.complaints.contains("writes this file"), "\(busy.complaints)")
        follower.send(SIGKILL)
        #expect(try await follower.end() == 128 + SIGKILL)
        try insert(5)
        #expect(try await Program.run(arguments, environment: stack.environment).status == 0)
        let kept = try Self.lines(String(contentsOfFile: file, encoding: .utf8))
        #expect(kept.compactMap { $0["sequence"]?.int64Value } == Array(1...Int64(kept.count)))
        #expect(kept.filter { $0["type"] == "row.insert" }.compactMap { $0["key"]?.text } == (1...5).map { "[\($0)]" })
        program.send(SIGTERM)
        #expect(try await program.end() == 0)
        let away = try await Program.run(["events"], environment: stack.environment)
        #expect(away.status == 69 && away.complaints.contains("The data service does not answer"), "\(away.complaints)")
    }

    @Test("A suite in one process is told apart")
    func oneProcess() async throws {
        let stack = try Stack(.one)
        let program = try await stack.start()
        let run = try await Program.run(["events"], environment: stack.environment)
        #expect(run.status == 64)
        #expect(run.complaints.contains("martlet up --processes"), "\(run.complaints)")
        program.send(SIGTERM)
        #expect(try await program.end() == 0)
    }
}

@Suite("The file of martlet events", .timeLimit(.minutes(1)))
struct EventFileTests {
    private static func entry(_ sequence: UInt64, body: String = "{}") -> Martlet_Wire_V1_LogEntry {
        var entry = Martlet_Wire_V1_LogEntry()
        entry.sequence = sequence
        entry.id = "id-\(sequence)"
        entry.type = "row.insert"
        entry.headers = "{}"
        entry.body = Data(body.utf8)
        return entry
    }

    private static func sequences(_ path: String) throws -> [Int64] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            .compactMap { try JSONValue(parsing: String($0))["sequence"]?.int64Value }
    }

    private static func with(
        _ body: (String) async throws -> Void
    ) async throws {
        let folder = try temporaryFolder()
        try await body(folder + "/events")
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test("A batch that comes twice is written once, and one with a hole not at all")
    func once() async throws {
        try await Self.with { path in
            let file = try await EventFile(path)
            #expect(try await file.cursor() == nil)
            try await file.start(at: LogCursor(epoch: 7, sequence: 4), after: nil)
            try await file.append([Self.entry(5), Self.entry(6)], epoch: 7)
            try await file.append([Self.entry(6), Self.entry(7, body: "{\"a\":\n1}")], epoch: 7)
            await #expect(throws: LogConsumerError.gap(expected: 8, found: 9)) {
                try await file.append([Self.entry(9)], epoch: 7)
            }
            #expect(try Self.sequences(path) == [5, 6, 7])
            #expect(try await file.cursor() == LogCursor(epoch: 7, sequence: 7))
            await file.close()
        }
    }

    @Test("What stands behind the committed length was left by a killed process, and is cut off")
    func cut() async throws {
        try await Self.with { path in
            var file: EventFile? = try await EventFile(path)
            try await file?.start(at: LogCursor(epoch: 7, sequence: 0), after: nil)
            try await file?.append([Self.entry(1)], epoch: 7)
            await file?.close()
            file = nil
            let handle = try #require(FileHandle(forWritingAtPath: path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data("{\"sequence\":2}\n{\"sequ".utf8))
            try handle.close()
            file = try await EventFile(path)
            try await file?.append([Self.entry(2), Self.entry(3)], epoch: 7)
            #expect(try Self.sequences(path) == [1, 2, 3])
            await file?.close()
        }
    }

    @Test("Entries that the log no longer has are told in the file")
    func gap() async throws {
        try await Self.with { path in
            let file = try await EventFile(path)
            try await file.start(at: LogCursor(epoch: 7, sequence: 0), after: nil)
            try await file.append([Self.entry(1)], epoch: 7)
            try await file.start(at: LogCursor(epoch: 9, sequence: 4), after: LogCursor(epoch: 7, sequence: 1))
            try await file.append([Self.entry(5)], epoch: 9)
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(
                lines.dropFirst().first
                    == #"{"epoch":9,"sequence":4,"type":"log.gap","after":{"epoch":7,"sequence":1}}"#)
            #expect(try Self.sequences(path) == [1, 4, 5])
            await file.close()
        }
    }

    @Test("A file of somebody else, a shorter one and a busy one are refused")
    func refusals() async throws {
        try await Self.with { path in
            try "mine\n".write(toFile: path, atomically: true, encoding: .utf8)
            await #expect { try await EventFile(path) } throws: { ($0 as? StartFailure)?.status == .cannotCreate }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine\n")
            try FileManager.default.removeItem(atPath: path)
            var file: EventFile? = try await EventFile(path)
            await #expect { try await EventFile(path) } throws: { ($0 as? StartFailure)?.status == .alreadyRunning }
            try await file?.start(at: LogCursor(epoch: 7, sequence: 0), after: nil)
            try await file?.append([Self.entry(1)], epoch: 7)
            await file?.close()
            file = nil
            #expect(truncate(path, 3) == 0)
            // A program that another test starts just now holds the lock with us until it is executed.
            var status: StartFailure.Status?
            repeat {
                do {
                    _ = try await EventFile(path)
                    status = nil
                } catch let failure as StartFailure { status = failure.status }
                await Task.yield()
            } while status == .alreadyRunning
            #expect(status == .cannotCreate)
        }
    }
}

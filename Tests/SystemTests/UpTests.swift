// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletJSON
import Testing

@Suite("martlet up", .timeLimit(.minutes(3)), .serialized)
struct UpTests {
    @Test(
        "It says where everything is, stops on Ctrl-C and has the same data again", arguments: Stack.Topology.allCases)
    func startsStopsAndStartsAgain(_ topology: Stack.Topology) async throws {
        let stack = try Stack(topology)
        let first = try await stack.start()
        let keys = try await stack.keys()
        let anon = try #require(keys["anon"]?.stringValue)
        let service = try #require(keys["service_role"]?.stringValue)
        let port = try #require(stack.port)
        for words in [anon, service, "http://127.0.0.1:\(port)/\n", stack.folder + "/state (SQLite)"] {
            #expect(first.printed.contains(words), "\(words) in \(first.printed)")
        }
        #expect(try stack.request("GET", "/health").hasPrefix("HTTP/1.1 200"))
        #expect(try stack.request("GET", "/").contains(stack.table))
        let status = try await Program.run(["status"], environment: stack.environment)
        #expect(status.status == 0, "\(status.complaints)")
        let one = try await Program.run(["status", "data", "edge"], environment: stack.environment)
        #expect(one.status == 0 && one.printed.split(separator: "\n").count == 2, "\(one)")
        let processes = Set(stack.listeners.members.compactMap { $0.value["pid"]?.int64Value })
        #expect(processes.count == (topology == .one ? 1 : 5))

        let path = "/rest/v1/\(stack.table)"
        let written = try stack.request("POST", path, key: service, body: #"{"id": 7, "name": "kept"}"#)
        #expect(written.hasPrefix("HTTP/1.1 201"), "\(written)")
        // One Ctrl-C reaches a whole group of processes, and a hasty person presses it twice.
        first.send(SIGINT)
        first.send(SIGINT)
        #expect(try await first.end() == 0, "\(first.complaints.suffix(2_000))")
        for process in processes { #expect(kill(pid_t(process), 0) != 0, "process \(process) is left") }

        let second = try await stack.start()
        #expect(try await stack.keys() == keys)
        let read = try stack.request("GET", path + "?id=eq.7&select=name", key: service)
        #expect(read.contains(#"[{"name":"kept"}]"#), "\(read)")
        second.send(SIGTERM)
        #expect(try await second.end() == 0, "\(second.complaints.suffix(2_000))")
    }

    @Test("A port that is taken is named, with exit status 69", arguments: Stack.Topology.allCases)
    func takenPort(_ topology: Stack.Topology) async throws {
        let stack = try Stack(topology)
        let taken = try TakenPort()
        stack.environment["MARTLET_API_PORT"] = "\(taken.number)"
        let program = try stack.begin()
        #expect(try await program.end() == 69)
        #expect(program.complaints.contains("api.port: 127.0.0.1:\(taken.number) cannot be bound"))
        #expect(program.printed.isEmpty)
    }

    @Test("A data directory in use is refused with exit status 75", arguments: Stack.Topology.allCases)
    func secondOwner(_ topology: Stack.Topology) async throws {
        let stack = try Stack(topology)
        let first = try await stack.start()
        let second = try stack.begin()
        #expect(try await second.end() == 75)
        #expect(second.complaints.contains("is already running as process"))
        #expect(try stack.request("GET", "/health").hasPrefix("HTTP/1.1 200"))
        first.send(SIGTERM)
        #expect(try await first.end() == 0)
    }

    @Test("A migration that is refused stops everything with its place", arguments: Stack.Topology.allCases)
    func refusedMigration(_ topology: Stack.Topology) async throws {
        let stack = try Stack(topology)
        try stack.write("migrations/20260101000001_wrong.sql", "create table public.broken (id nonsense);\n")
        let program = try stack.begin()
        #expect(try await program.end() == 78)
        #expect(program.complaints.contains("20260101000001_wrong.sql"), "\(program.complaints.suffix(2_000))")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletBus
import MartletJSON
import MartletWire
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

@testable import MartletServiceKit

@Suite("Assembly", .timeLimit(.minutes(1)))
struct AssemblyTests {
    @Test("Five services in one process reach each other and stop in order")
    func oneProcess() async throws {
        let fixture = try AssemblyFixture()
        let assembly = fixture.assembly([
            CallingService.self, Quiet<AuthName>.self, AnsweringService.self, Quiet<LogicName>.self,
            Quiet<NotificationName>.self,
        ])
        try await fixture.run([assembly]) { listeners in
            #expect(listeners[.data]?["request"] == "inproc://data")
            #expect(listeners[.edge]?["admin"]?.stringValue?.hasPrefix("http://127.0.0.1:") == true)
            let reply = try await fixture.stage.callingBus().request(
                MethodRegistry.httpRead, to: .data, header: RequestHeader(requestID: "r"),
                payload: ByteBuffer(string: "hello"))
            #expect(String(buffer: reply.payload) == "hello")
        }
        #expect(fixture.stage.events == ["edge stopped", "data stopped", "data closed"])
        #expect(fixture.lines.contains("\"message\":\"Draining.\""))
    }

    @Test("Two processes reach each other by sockets and keys, each with its own lock")
    func separate() async throws {
        let fixture = try AssemblyFixture()
        let edge = fixture.assembly([CallingService.self], topology: .separate)
        let data = fixture.assembly([AnsweringService.self], topology: .separate)
        try await fixture.run([edge, data]) { listeners in
            #expect(listeners[.data]?["request"]?.stringValue?.hasPrefix("ipc:///") == true)
            let reply = try await fixture.stage.callingBus().request(
                MethodRegistry.httpRead, to: .data, header: RequestHeader(), payload: ByteBuffer(string: "over ipc"))
            #expect(String(buffer: reply.payload) == "over ipc")
            let again = await #expect(throws: StartFailure.self) { try await data.run() }
            #expect(again?.status == .alreadyRunning)
        }
    }

    @Test("A request that is in hand when the stop comes is answered")
    func drains() async throws {
        let fixture = try AssemblyFixture()
        let edge = fixture.assembly([CallingService.self], topology: .separate)
        let data = fixture.assembly([AnsweringService.self], topology: .separate)
        let answer = Mutex<Task<String, any Error>?>(nil)
        try await fixture.run([edge, data]) { _ in
            let bus = try fixture.stage.callingBus()
            let task = Task {
                let reply = try await bus.request(
                    MethodRegistry.httpWrite, to: .data, header: RequestHeader(), payload: ByteBuffer(string: "slow"))
                return String(buffer: reply.payload)
            }
            answer.withLock { $0 = task }
            // The handler answers once its service has been told to stop.
            await fixture.stage.handlerHasBegun()
        }
        let task = try #require(answer.withLock { $0 })
        #expect(try await task.value == "slow")
        #expect(fixture.stage.events.contains("data closed"))
    }

    @Test("A service that fails, or ends by itself, stops the process with an error", arguments: ["throws", "returns"])
    func failure(how: String) async throws {
        let fixture = try AssemblyFixture(instance: how)
        let assembly = fixture.assembly([CallingService.self, FailingService.self])
        await #expect(throws: (any Error).self) { try await assembly.run() }
        #expect(fixture.lines.contains("\"level\":\"critical\",\"service\":\"logic\""))
        #expect(fixture.stage.events.contains("edge stopped"))
    }

    @Test("A port that is taken is named by its key")
    func takenPort() async throws {
        let fixture = try AssemblyFixture()
        let assembly = fixture.assembly([AnsweringService.self])
        try await fixture.run([assembly]) { listeners in
            let address = try #require(listeners[.data]?["admin"]?.stringValue)
            let port = try #require(address.split(separator: ":").last.map(String.init))
            let other = try AssemblyFixture(adminPort: port)
            let failure = await #expect(throws: StartFailure.self) {
                try await other.assembly([AnsweringService.self]).run()
            }
            #expect(failure?.status == .unavailable)
            #expect(failure?.message.hasPrefix("martlet.data.admin_port: 127.0.0.1:\(port)") == true)
        }
    }

    @Test("A service that does not stop in time is cancelled, and the end says so")
    func drainTimeout() async throws {
        let fixture = try AssemblyFixture(drainTimeout: "1s")
        let assembly = fixture.assembly([StubbornService.self])
        let failure = await #expect(throws: StartFailure.self) {
            try await fixture.run([assembly]) { _ in }
        }
        #expect(failure?.message.contains("martlet.drain_timeout (1s)") == true)
        #expect(fixture.stage.events == ["cancelled", "closed"])
    }

    @Test("The admin port answers HTTP: probes, metrics, and 400 to what is no request")
    func adminPort() async throws {
        let fixture = try AssemblyFixture()
        try await fixture.run([fixture.assembly([AnsweringService.self])]) { listeners in
            let address = try #require(listeners[.data]?["admin"]?.stringValue)
            let port = try #require(address.split(separator: ":").last.flatMap { Int($0) })
            func get(_ path: String) throws -> String {
                try exchange(port: port, "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            }
            #expect(try get("/livez").hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(try get("/readyz").hasSuffix("\r\n\r\nready\n"))
            #expect(try get("/metrics").contains("\nmartlet_bus_served_requests_total 0\n"))
            #expect(try get("/nothing").hasPrefix("HTTP/1.1 404 Not Found\r\n"))
            #expect(try exchange(port: port, "nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        }
    }

    @Test("A key that is taken off the list loses its connection")
    func revocation() async throws {
        let fixture = try AssemblyFixture()
        let edge = fixture.assembly([CallingService.self], topology: .separate)
        let data = fixture.assembly([AnsweringService.self], topology: .separate)
        try await fixture.run([edge, data]) { _ in
            let bus = try fixture.stage.callingBus()
            func ask() async throws {
                _ = try await bus.request(
                    MethodRegistry.httpRead, to: .data, header: RequestHeader(), deadline: .now + .seconds(2))
            }
            try await ask()
            let file = fixture.path + "/state/keys/allow"
            let lines = try #require(try PosixFile.read(file, bytesMax: 1 << 16)).split(separator: "\n")
            try PosixFile.replace(file, with: lines.filter { !$0.hasPrefix("edge ") }.joined(separator: "\n") + "\n")
            // The file is looked at every second; from then on requests find no replica.
            let end = ContinuousClock.now + .seconds(20)
            while (try? await ask()) != nil { try #require(ContinuousClock.now < end) }
            #expect(fixture.lines.contains("The list of allowed keys has changed."))
        }
    }
}

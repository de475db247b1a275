// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@Suite("martlet up --processes", .timeLimit(.minutes(3)), .serialized)
struct ProcessesTests {
    private static let services = ["auth", "data", "edge", "logic", "notification"]

    @Test("A service that is killed runs again and is reached again", arguments: ["data", "edge"])
    func restarts(service: String) async throws {
        let stack = try Stack(.five)
        let program = try await stack.start()
        let old = try #require(stack.process(of: service))
        #expect(kill(old, SIGKILL) == 0)
        let new = try await eventually("another \(service)") {
            stack.process(of: service).flatMap { $0 == old ? nil : $0 }
        }
        #expect(kill(new, 0) == 0)
        try await eventually("readiness; seen: \(program.complaints.suffix(2_000))") {
            stack.isHealthy ? true : nil
        }
        #expect(program.complaints.contains("A service has ended and starts again."))
        program.send(SIGTERM)
        #expect(try await program.end() == 0, "\(program.complaints.suffix(2_000))")
    }

    @Test("The services end with the process that started them, however it ends")
    func endsWithParent() async throws {
        let stack = try Stack(.five)
        let program = try await stack.start()
        let processes = try Self.services.map { try #require(stack.process(of: $0)) }
        program.send(SIGKILL)
        #expect(try await program.end() == 128 + SIGKILL)
        try await eventually("the end of the services") {
            processes.allSatisfy { kill($0, 0) != 0 } ? true : nil
        }
    }

    @Test("A data directory whose path is too long for sockets is served over tcp")
    func longPath() async throws {
        let stack = try Stack(.five)
        stack.environment["MARTLET_DATA_DIR"] = stack.folder + "/" + String(repeating: "long", count: 30)
        let check = try await Program.run(["keys"], environment: stack.environment)
        #expect(check.status == 0, "\(check.complaints)")
        var ports: [TakenPort] = []
        for name in ["EDGE_EVENT", "AUTH_REQUEST", "AUTH_EVENT", "DATA_REQUEST", "DATA_EVENT", "LOGIC_REQUEST"]
            + ["LOGIC_EVENT", "NOTIFICATION_REQUEST", "NOTIFICATION_EVENT"]
        {
            let port = try TakenPort()
            stack.environment["MARTLET_\(name)_PORT"] = "\(port.number)"
            ports.append(port)
        }
        ports.removeAll()
        let program = try await stack.start()
        let listeners = try await Program.run(["status"], environment: stack.environment)
        #expect(listeners.status == 0, "\(listeners.complaints)")
        program.send(SIGTERM)
        #expect(try await program.end() == 0, "\(program.complaints.suffix(2_000))")
    }

    @Test("Production starts on a new data directory with what martlet keys makes there, and on none")
    func newProduction() async throws {
        let stack = try Stack(.five)
        stack.environment["MARTLET_ENV"] = "production"
        stack.environment["MARTLET_AUTH_SITE_URL"] = "https://example.org"
        stack.environment["MARTLET_AUTH_EXTERNAL_URL"] = "https://example.org/auth/v1"
        #expect(try await stack.begin().end() == 78)
        let made = try await Program.run(["keys"], environment: stack.environment)
        #expect(made.status == 0, "\(made.complaints)")
        let program = try await stack.start()
        #expect(try stack.request("GET", "/health").hasPrefix("HTTP/1.1 200"))
        program.send(SIGTERM)
        #expect(try await program.end() == 0, "\(program.complaints.suffix(2_000))")
    }

    @Test("It starts in production with keys that martlet keys made, and refuses those of a start in development")
    func production() async throws {
        let stack = try Stack(.five)
        let development = try await stack.start()
        development.send(SIGTERM)
        #expect(try await development.end() == 0)
        stack.environment["MARTLET_ENV"] = "production"
        stack.environment["MARTLET_AUTH_EXTERNAL_URL"] = "https://example.org/auth/v1"
        let refused = try stack.begin()
        #expect(try await refused.end() == 78)
        #expect(refused.complaints.contains("`martlet keys rotate` makes others"), "\(refused.complaints)")

        let rotated = try await Program.run(["keys", "rotate"], environment: stack.environment)
        #expect(rotated.status == 0, "\(rotated.complaints)")
        let program = try await stack.start()
        #expect(try stack.request("GET", "/health").hasPrefix("HTTP/1.1 200"))
        program.send(SIGTERM)
        #expect(try await program.end() == 0, "\(program.complaints.suffix(2_000))")
    }
}

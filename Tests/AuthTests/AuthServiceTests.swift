// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletAccessTokens
import MartletAuth
import MartletBus
import MartletJSON
import MartletServiceKit
import MartletWire
import NIOCore
import Synchronization
import Testing

/// The service on a real bus, between an edge and a data service of the test.
@Suite(.timeLimit(.minutes(1))) struct AuthServiceTests {
    @Test func `A sign-up over the bus reaches data, and its token verifies by the published keys`() async throws {
        try await AuthAssembly.run { edge in
            let signedUp = try await edge.signUp("ada@example.com")
            #expect(signedUp.status == 200)
            let token = try #require(signedUp.body["access_token"]?.stringValue)

            let keys = try await edge.bus.request(MethodRegistry.authKeys, to: .auth, header: RequestHeader())
            let message = try Martlet_Wire_V1_AuthKeysReply(payload: keys.payload)
            #expect(message.issuer == "http://127.0.0.1:8000/auth/v1")
            let verifier = try TokenVerifier(rules: TokenRules(issuer: message.issuer))
            try verifier.replaceKeys(jwks: try JSONValue(parsing: message.jwks))
            guard case .valid(let verified) = verifier.verify(token, now: Timestamp.now().seconds) else {
                Issue.record("the token does not verify")
                return
            }
            #expect(edge.data.users[verified.subject]?["email"] == "ada@example.com")
            #expect(edge.data.users[verified.subject]?["phone"] == .some(nil))
        }
    }

    @Test func `A refusal of data travels as the contract's words and leaves nothing`() async throws {
        try await AuthAssembly.run { edge in
            let refused = try await edge.signUp("refused@example.com")
            #expect(refused.status == 500)
            #expect(refused.body["msg"] == "Database error saving new user")
            #expect(edge.data.users.isEmpty)
            let signIn = try await edge.send(
                "/token", "grant_type=password", ["email": "refused@example.com", "password": "long enough"])
            #expect(signIn.status == 400)
        }
    }

    @Test(arguments: [
        ("[auth.email]\notp_length = 5", "development", "auth.email.otp_length"),
        ("", "production", "auth.external_url: required"),
    ])
    func `A setting that asks for what is not there is refused by its name`(
        configuration: String, mode: String, words: String
    ) throws {
        let folder = try AuthAssembly.makeFolder(configuration)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let error = #expect(throws: SettingsError.self) {
            try AuthAssembly.assembly(folder, mode: mode, services: [AuthService.self])
        }
        #expect(error?.problems.contains { $0.contains(words) } == true)
    }

    @Test func `Production makes no encryption keys by itself`() async throws {
        let folder = try AuthAssembly.makeFolder(
            "[auth]\nexternal_url = \"https://api.example.com/auth/v1\"\nsite_url = \"https://example.com\"")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let error = await #expect(throws: StartFailure.self) {
            try await AuthAssembly.assembly(folder, mode: "production", services: [AuthService.self]).run()
        }
        #expect(error?.status == .configuration)
        #expect(error?.message.contains("encryption is missing") == true)
    }
}

/// Auth, a data service and an edge in one process.
enum AuthAssembly {
    /// What a test sends by, and what the data service of the test holds.
    struct Edge: Sendable {
        let bus: Bus
        let data: FakeData.Store

        func signUp(_ email: String) async throws -> (status: UInt16, body: JSONValue) {
            try await send("/signup", "", ["email": .string(email), "password": "long enough"])
        }

        func send(
            _ path: String, _ query: String, _ body: JSONValue
        ) async throws -> (status: UInt16, body: JSONValue) {
            let head = HTTPRequestHead(method: "POST", path: path, query: query)
            let reply = try await bus.request(
                MethodRegistry.httpWrite, to: .auth, header: RequestHeader(requestID: "r", http: head),
                payload: ByteBuffer(string: body.text))
            let http = try #require(reply.header.http)
            return (http.status, try JSONValue(parsing: Array(reply.payload.readableBytesView)))
        }
    }

    static func makeFolder(_ configuration: String) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/martlet-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: path + "/config.toml"))
        return path
    }

    static func assembly(
        _ folder: String, mode: String = "development", services: [any MartletService.Type]
    ) throws -> Assembly {
        var environment = [
            "MARTLET_ENV": mode, "MARTLET_PROJECT": folder, "MARTLET_DATA_DIR": folder + "/state",
            "MARTLET_TRANSPORT": "ipc",
        ]
        for name in ["EDGE", "AUTH", "DATA"] { environment["MARTLET_\(name)_ADMIN_PORT"] = "0" }
        let settings = try SettingsResolver(flags: CommandLineFlags([]), environment: environment).resolve(for: [.auth])
        return Assembly(
            services: services, settings: settings, topology: .oneProcess, sink: LogSink { _ in }, handlesSignals: false
        )
    }

    static func run(_ body: @escaping @Sendable (Edge) async throws -> Void) async throws {
        let folder = try makeFolder("")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let assembly = try assembly(folder, services: [AuthService.self, FakeData.self, FakeEdge.self])
        let (ready, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { continuation.finish() }
                // Ended by cancellation, below.
                do { try await assembly.run { _ in continuation.yield() } } catch is CancellationError {}
            }
            for await _ in ready { break }
            let bus = try #require(FakeEdge.buses.withLock { $0[folder + "/state"] }, "the services did not start")
            let data = try #require(FakeData.stores.withLock { $0[folder + "/state"] })
            defer { group.cancelAll() }
            try await body(Edge(bus: bus, data: data))
        }
    }
}

/// The edge of these tests: lends its bus.
final class FakeEdge: MartletService {
    static let name = ServiceName.edge
    static let buses = Mutex<[String: Bus]>([:])
    private let context: ServiceContext

    init(_ context: ServiceContext) {
        self.context = context
        Self.buses.withLock { $0[context.dataDirectory.path] = context.bus }
    }

    func run() async throws {
        context.readiness.set(.ready)
        for await _ in AsyncStream<Void>(unfolding: { try? await Task.sleep(for: .seconds(3_600)) }) {}
    }

    func close() async { Self.buses.withLock { $0[context.dataDirectory.path] = nil } }
}

/// The data service of these tests: keeps rows of `auth.users` in memory; an address that begins with `refused` is
/// refused, as by an application's trigger.
final class FakeData: MartletService {
    final class Store: Sendable {
        private let rows = Mutex<[String: [String: String?]]>([:])
        var users: [String: [String: String?]] { rows.withLock { $0 } }
        func put(_ id: String, _ columns: [String: String?]) {
            rows.withLock { $0[id, default: [:]].merge(columns) { $1 } }
        }
    }

    static let name = ServiceName.data
    static let stores = Mutex<[String: Store]>([:])
    private let context: ServiceContext

    init(_ context: ServiceContext) {
        self.context = context
        let store = Store()
        Self.stores.withLock { $0[context.dataDirectory.path] = store }
        context.bus.handle(MethodRegistry.usersPut) { request in
            guard let message = try? Martlet_Wire_V1_UsersPutRequest(payload: request.payload) else {
                return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no))
            }
            var columns: [String: String?] = [:]
            for column in message.columns {
                if case .text(let text)? = column.content { columns[column.name] = .some(text) }
                if case .null? = column.content { columns[column.name] = .some(nil) }
            }
            var reply = Martlet_Wire_V1_UsersPutReply()
            if let email = columns["email"] ?? nil, email.hasPrefix("refused") {
                reply.outcome = .refused
                reply.refusal.sqlState = "P0001"
            } else {
                store.put(message.userID, columns)
                reply.outcome = .applied
                reply.version = message.version
                reply.columns = message.columns
            }
            return OutboundReply(payload: reply.payload)
        }
    }

    func run() async throws {
        context.readiness.set(.ready)
        for await _ in AsyncStream<Void>(unfolding: { try? await Task.sleep(for: .seconds(3_600)) }) {}
    }

    func close() async { Self.stores.withLock { $0[context.dataDirectory.path] = nil } }
}

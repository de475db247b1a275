// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletAccessTokens
import MartletAuth
import MartletDatabase
import MartletJSON
import MartletTestKit
import MartletWire
import Synchronization
import Testing

/// An auth API on a fresh database, a directory and a clock that the test sets.
struct TestAuth: Sendable {
    static let issuer = "http://localhost:8000/auth/v1"
    static let password = "correct horse battery staple"
    static let engines = TestDatabase.engines

    let authority: Authority
    let database: Database
    let directory: TestDirectory
    let clock: TestClock
    let observations: Observations
    private let verifier: TokenVerifier

    /// - Parameter parameters: far below the floor of the settings, which would make hundreds of tests slow.
    static func with<Result>(
        _ engine: DatabaseEngine, _ change: (inout AuthConfiguration) -> Void = { _ in },
        parameters: Argon2id = Argon2id(memoryKibibytes: 64, iterations: 1, lanes: 1),
        _ body: (TestAuth) async throws -> Result
    ) async throws -> Result {
        var configuration = AuthConfiguration(issuer: issuer)
        change(&configuration)
        return try await TestDatabase.with(engine) { database in
            let hasher = try PasswordHasher(parameters: parameters, threads: 2)
            let (directory, clock, observations) = (TestDirectory(), TestClock(), Observations())
            do {
                let authority = try await Authority(
                    configuration: configuration, database: database, directory: directory, hasher: hasher,
                    encryption: EncryptionKeys(), clock: { clock.now }, observe: { observations.append($0) })
                let verifier = try TokenVerifier(rules: TokenRules(issuer: issuer))
                try verifier.replaceKeys(jwks: authority.keySet)
                let result = try await body(
                    TestAuth(
                        authority: authority, database: database, directory: directory, clock: clock,
                        observations: observations, verifier: verifier))
                await hasher.close()
                return result
            } catch {
                await hasher.close()
                throw error
            }
        }
    }

    // MARK: Requests

    /// Sends a request as the edge does: it verifies the bearer token first.
    func send(
        _ method: String, _ path: String, _ body: JSONValue? = nil, bearer: String? = nil,
        headers: [String: String] = [:], patience: Duration = .seconds(10)
    ) async throws -> Answer {
        try await send(method, path, bytes: body.map { Array($0.text.utf8) } ?? [], bearer, headers, patience)
    }

    func send(
        _ method: String, _ path: String, bytes: [UInt8], _ bearer: String? = nil, _ headers: [String: String] = [:],
        _ patience: Duration = .seconds(10)
    ) async throws -> Answer {
        let parts = path.split(separator: "?", maxSplits: 1)
        let head = HTTPRequestHead(
            method: method, path: String(parts[0]), query: parts.count > 1 ? String(parts[1]) : "",
            fields: headers.map { HTTPField($0.key, $0.value) })
        let reply = await authority.answer(
            head, body: bytes, principal: principal(bearer),
            trace: TraceContext(requestID: "request-1", traceparent: ""), deadline: .now + patience)
        return try Answer(reply)
    }

    private func principal(_ bearer: String?) -> Principal {
        guard let bearer else { return Principal(clientAddress: "192.0.2.1") }
        if bearer == "service_role" {
            return Principal(tokenStatus: .valid, role: bearer, claims: #"{"role":"service_role"}"#)
        }
        switch verifier.verify(bearer, now: clock.now.seconds) {
        case .valid(let token):
            return Principal(
                tokenStatus: .valid, role: token.role, subject: token.subject, sessionID: token.sessionID,
                claims: token.claims, token: bearer, clientAddress: "192.0.2.1")
        case .invalid(let fault):
            return Principal(tokenStatus: .invalid, tokenError: fault.word, token: bearer)
        case .unknownKey:
            return Principal(tokenStatus: .invalid, tokenError: TokenFault.key.word, token: bearer)
        }
    }

    func signUp(_ email: String = "ada@example.com", data: JSONValue = [:]) async throws -> Answer {
        try await send(
            "POST", "/signup", ["email": .string(email), "password": .string(Self.password), "data": data])
    }

    func signIn(_ email: String = "ada@example.com", _ password: String = password) async throws -> Answer {
        try await send(
            "POST", "/token?grant_type=password", ["email": .string(email), "password": .string(password)])
    }

    func refresh(_ token: String) async throws -> Answer {
        try await send("POST", "/token?grant_type=refresh_token", ["refresh_token": .string(token)])
    }

    func count(_ table: String) async throws -> Int64? {
        try await database.read { try $0.query("select count(*) from \(table)").first?[0].integerValue }
    }
}

/// An answer with its JSON.
struct Answer: Sendable {
    let status: UInt16
    private let head: HTTPResponseHead
    let body: JSONValue

    init(_ reply: AuthReply) throws {
        status = reply.head.status
        head = reply.head
        body = reply.body.isEmpty ? .null : try JSONValue(parsing: reply.body)
    }

    func header(_ name: String) -> String? { head[name] }

    var code: String? { header("x-sb-error-code") }
    var text: String? { body["msg"]?.stringValue ?? body["message"]?.stringValue }
    var accessToken: String { body["access_token"]?.stringValue ?? "" }
    var refreshToken: String { body["refresh_token"]?.stringValue ?? "" }
    /// The user of a session answer, or the body itself.
    var user: JSONValue { body["user"] ?? body }
    var userID: String { user["id"]?.stringValue ?? "" }

    /// The claims of the access token.
    var claims: JSONValue {
        let parts = accessToken.split(separator: ".")
        guard parts.count == 3, let payload = Base64.decodeURL(parts[1].utf8) else { return .null }
        return (try? JSONValue(parsing: payload)) ?? .null
    }
}

/// The wall clock of a test.
final class TestClock: Sendable {
    private let time = Mutex(Timestamp(microseconds: 1_800_000_000_000_000))

    var now: Timestamp { time.withLock { $0 } }
    func advance(by duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
}

/// What the operator heard.
final class Observations: Sendable {
    private let list = Mutex<[AuthObservation]>([])

    var all: [AuthObservation] { list.withLock { $0 } }
    func append(_ observation: AuthObservation) { list.withLock { $0.append(observation) } }
}

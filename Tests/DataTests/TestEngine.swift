// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletData
import MartletDatabase
import MartletSQL
import MartletWire
import Testing

/// Lends a fresh row engine of each kind, with an application's migrations applied and two users in it.
struct TestEngine: Sendable {
    let rows: any RowEngine
    let handler: RestHandler

    static let alice = "00000000-0000-4000-8000-00000000000a"
    static let bob = "00000000-0000-4000-8000-00000000000b"

    static func with(
        _ engine: DatabaseEngine, migrations: [String], users: [String] = [alice, bob], rowsMax: Int64? = nil,
        captured: Set<QualifiedName> = [], _ body: (TestEngine) async throws -> Void
    ) async throws {
        try await open(engine, captured: captured) { rows in
            let files = migrations.enumerated().map { position, sql in
                let version = String(20_260_101_000_000 + position)
                return MigrationFile(version: version, fileName: "\(version)_test.sql", sql: sql)
            }
            _ = try await rows.migrate(files, requiresRowSecurity: false)
            for user in users {
                let columns = [UserColumn("email", "\(user)@example.test"), UserColumn("role", "authenticated")]
                let change = UserChange(id: user, baseVersion: 0, version: 1, isCreation: true, columns: columns)
                guard case .applied = try await rows.putUser(change, session: RequestSession(role: "service_role"))
                else {
                    Issue.record("the user was not stored")
                    return
                }
            }
            try await body(TestEngine(rows: rows, handler: RestHandler(engine: rows, rowsMax: rowsMax)))
        }
    }

    static func open(
        _ engine: DatabaseEngine, captured: Set<QualifiedName> = [], _ body: (any RowEngine) async throws -> Void
    ) async throws {
        switch engine {
        case .sqlite: try await openSQLite(captured, body)
        case .postgres: try await openPostgres(captured, body)
        }
    }

    private static func openSQLite(
        _ captured: Set<QualifiedName>, _ body: (any RowEngine) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await lend(
            try await SQLiteEngine.open(
                path: folder.appendingPathComponent("data.db").path, readers: 2, captured: captured), body)
    }

    private static func lend(_ rows: any RowEngine, _ body: (any RowEngine) async throws -> Void) async throws {
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(rows))
        } catch {
            outcome = .failure(error)
        }
        await rows.close()
        try outcome.get()
    }

    private static func openPostgres(
        _ captured: Set<QualifiedName>, _ body: (any RowEngine) async throws -> Void
    ) async throws {
        try await withPostgresDatabase { url in
            try await lend(try await PostgresEngine.open(url: url, poolSize: 2, captured: captured), body)
        }
    }

    /// Lends an empty database by its URL.
    static func withPostgresDatabase(_ body: (String) async throws -> Void) async throws {
        let name = "test_\(UUID().uuidString.lowercased().replacing("-", with: ""))"
        let url = try #require(
            ProcessInfo.processInfo.environment["MARTLET_TEST_POSTGRES_URL"],
            "MARTLET_TEST_POSTGRES_URL names no server; compose/scripts/test.sh starts one")
        try await run(url, "create database \(name)")
        let parts = url.split(separator: "?", maxSplits: 1)
        let base = try #require(parts.first?.lastIndex(of: "/").map { url[...$0] })
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(base + name + (parts.count > 1 ? "?\(parts[1])" : "")))
        } catch {
            outcome = .failure(error)
        }
        try await run(url, "drop database \(name)")
        try outcome.get()
    }

    /// A statement that stands in no transaction.
    static func run(_ url: String, _ sql: String) async throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]
        // Waiting for it would hold one of the few threads that all tests share.
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        try #require(status == 0, "psql failed: \(sql)")
    }
}

/// Who sends a request.
enum Caller: Sendable {
    case anonymous
    case user(String)
    case service
    case role(String)

    var principal: Principal {
        switch self {
        case .anonymous: Principal()
        case .user(let id):
            Principal(
                tokenStatus: .valid, role: "authenticated", subject: id,
                claims: #"{"sub":"\#(id)","role":"authenticated","email":"\#(id)@example.test"}"#)
        case .service: Principal(tokenStatus: .valid, role: "service_role", claims: #"{"role":"service_role"}"#)
        case .role(let role): Principal(tokenStatus: .valid, role: role, claims: #"{"role":"\#(role)"}"#)
        }
    }
}

extension TestEngine {
    /// Sends one request; `target` is path and query, encoded as far as the test cares.
    func send(
        _ method: String = "GET", _ target: String, as caller: Caller = .anonymous, _ body: String = "",
        prefer: String? = nil, accept: String? = nil, fields: [HTTPField] = [], key: String = "",
        trace: TraceContext = .none
    ) async -> FinishedReply {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var fields = fields
        if let prefer { fields.append(HTTPField("prefer", prefer)) }
        if let accept { fields.append(HTTPField("accept", accept)) }
        let head = HTTPRequestHead(
            method: method, path: String(parts[0]), query: parts.count > 1 ? String(parts[1]) : "", fields: fields)
        return await handler.answer(
            RestRequest(
                head: head, body: Array(body.utf8), principal: caller.principal, trace: trace, idempotencyKey: key,
                deadline: .now + .seconds(30)))
    }
}

extension FinishedReply {
    var text: String { String(decoding: body, as: UTF8.self) }
}

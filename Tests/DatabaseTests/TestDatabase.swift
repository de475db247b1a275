// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletDatabase
import Testing

/// Lends fresh databases of each engine to tests.
enum TestDatabase {
    /// The engines that the suite runs on. `compose/scripts/test.sh` starts the server and names it here; without it
    /// PostgreSQL's tests fail instead of being left out.
    static let engines: [DatabaseEngine] = [.sqlite, .postgres]

    static func with<Result>(
        _ engine: DatabaseEngine, functions: [SQLiteFunction] = [],
        _ body: (Database) async throws -> Result
    ) async throws -> Result {
        switch engine {
        case .sqlite: return try await withSQLite(functions, body)
        case .postgres: return try await withPostgres(body)
        }
    }

    private static func withSQLite<Result>(
        _ functions: [SQLiteFunction], _ body: (Database) async throws -> Result
    ) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("test.db").path
        return try await lend(DatabaseConfiguration(location: .sqlite(path: path), functions: functions), body)
    }

    private static func withPostgres<Result>(_ body: (Database) async throws -> Result) async throws -> Result {
        let url = try #require(
            ProcessInfo.processInfo.environment["MARTLET_TEST_POSTGRES_URL"],
            "MARTLET_TEST_POSTGRES_URL names no server; compose/scripts/test.sh starts one")
        let schema = "test_\(UUID().uuidString.lowercased().replacing("-", with: ""))"
        try await lend(DatabaseConfiguration(location: .postgres(url: url), poolSize: 1)) { database in
            try await database.write { try $0.executeScript("create schema \(schema)") }
        }
        let startup = ["set search_path = \(schema)"]
        return try await lend(
            DatabaseConfiguration(location: .postgres(url: url), poolSize: 4, startupStatements: startup), body)
    }

    private static func lend<Result>(
        _ configuration: DatabaseConfiguration, _ body: (Database) async throws -> Result
    ) async throws -> Result {
        let database = try Database(configuration)
        do {
            let result = try await body(database)
            await database.close()
            return result
        } catch {
            await database.close()
            throw error
        }
    }
}

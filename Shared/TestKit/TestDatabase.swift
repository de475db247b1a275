// SPDX-License-Identifier: Apache-2.0

internal import Glibc
package import MartletDatabase

/// An empty database for one test on either engine, gone after it: a file, or a schema of a server.
package enum TestDatabase {
    /// Both engines; `compose/scripts/test.sh` starts PostgreSQL and names it, without which its tests fail.
    package static let engines: [DatabaseEngine] = [.sqlite, .postgres]

    /// Why there is none.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let variable = "MARTLET_TEST_POSTGRES_URL"

    package static func with<Result>(
        _ engine: DatabaseEngine, _ body: (Database) async throws -> Result
    ) async throws -> Result {
        switch engine {
        case .sqlite: try await withFile(body)
        case .postgres: try await withSchema(body)
        }
    }

    private static func withFile<Result>(_ body: (Database) async throws -> Result) async throws -> Result {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "mkdtemp: error \(errno)") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["test.db", "test.db-wal", "test.db-shm"] { unlink("\(folder)/\(name)") }
            rmdir(folder)
        }
        return try await lend(try Database(DatabaseConfiguration(location: .sqlite(path: "\(folder)/test.db"))), body)
    }

    private static func withSchema<Result>(_ body: (Database) async throws -> Result) async throws -> Result {
        guard let text = getenv(variable) else {
            throw Failure(description: "\(variable) names no server; compose/scripts/test.sh starts one")
        }
        let url = String(cString: text)
        let name = "test_\(String(UInt64.random(in: .min ... .max), radix: 16))"
        try await run("create schema \(name)", url)
        let configuration = DatabaseConfiguration(
            location: .postgres(url: url), poolSize: 4, startupStatements: ["set search_path = \(name)"])
        let result: Swift.Result<Result, any Error>
        do { result = .success(try await lend(try Database(configuration), body)) } catch { result = .failure(error) }
        try await run("drop schema \(name) cascade", url)
        return try result.get()
    }

    private static func run(_ sql: String, _ url: String) async throws {
        try await lend(try Database(DatabaseConfiguration(location: .postgres(url: url), poolSize: 1))) { database in
            try await database.write { try $0.executeScript(sql) }
        }
    }

    private static func lend<Result>(
        _ database: Database, _ body: (Database) async throws -> Result
    ) async throws -> Result {
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

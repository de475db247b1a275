// SPDX-License-Identifier: Apache-2.0
import Foundation
import MartletDatabase
import Testing

@testable import MartletSQL

/// A project's migrations on a real SQLite file, with the platform under it.
final class TestProject {
    let database: Database
    private(set) var translator: MigrationTranslator
    private let folder: String

    var catalog: Catalog { translator.catalog }

    private init(database: Database, translator: MigrationTranslator, folder: String) {
        self.database = database
        self.translator = translator
        self.folder = folder
    }

    static func open(_ sql: String = "") async throws -> TestProject {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let database = try Database(
            DatabaseConfiguration(
                location: .sqlite(path: folder + "/data.sqlite"), functions: MartletFunctions.all,
                collations: MartletFunctions.collations, aggregates: MartletFunctions.aggregates))
        let (catalog, steps) = try Platform.catalog()
        let project = TestProject(
            database: database, translator: MigrationTranslator(catalog: catalog), folder: folder)
        try await project.run(steps)
        try await project.migrate(sql)
        return project
    }

    /// Applies a migration; an INSERT must name every column that has no default NULL.
    func migrate(_ sql: String) async throws {
        try await run(try translator.translate(sql, file: "migration.sql"))
    }

    private func run(_ steps: [TranslatedStep]) async throws {
        let catalog = translator.catalog
        try await database.write { session in
            for step in steps {
                switch step {
                case .sql(let sql): try session.execute(sql)
                case .insert(let insert): try Self.run(insert, session, catalog)
                }
            }
        }
    }

    private static func run(_ insert: TranslatedInsert, _ session: DatabaseSession, _ catalog: Catalog) throws {
        let compiler = AccessCompiler(catalog: catalog, role: "postgres")
        let table = try #require(catalog.relations[insert.relation])
        for row in insert.rows {
            var values: [String: String] = [:]
            for column in table.columns where column.identity == .none && column.generatedExpression == nil {
                values[column.name] = try compiler.defaultExpression(of: column)
            }
            for (column, value) in zip(insert.columns, row) {
                if case .expression(let sql) = value { values[column] = sql }
            }
            let columns = values.keys.sorted()
            let list = columns.map(SQLiteName.quoted(column:)).joined(separator: ", ")
            let conflict = insert.ignoresConflicts ? " ON CONFLICT DO NOTHING" : ""
            let sql =
                "INSERT INTO \(SQLiteName.quoted(insert.relation)) (\(list)) VALUES "
                + "(\(columns.compactMap { values[$0] }.joined(separator: ", ")))\(conflict)"
            try session.execute(sql, context(sql))
        }
    }

    /// As many of the five parameters as the statement has.
    static func context(_ sql: String, user: String? = nil, role: String = "postgres", claims: String? = nil)
        -> [SQLValue]
    {
        let all: [SQLValue] = [
            user.map { .text($0) } ?? .null, .text(role), .null, claims.map { .text($0) } ?? .null,
            .integer(1_767_225_600_000_000),
        ]
        let highest = (1...5).last { sql.contains("?\($0)") } ?? 0
        return Array(all.prefix(highest))
    }

    func relation(_ name: String) throws -> Relation { try #require(catalog.relations[QualifiedName("public", name)]) }

    /// A constant expression of PostgreSQL as PostgreSQL's text, computed by SQLite; nil for NULL.
    func value(_ expression: String, user: String? = nil, claims: String? = nil) async throws -> String? {
        let names = NameResolver(catalog: catalog, searchPath: NameResolver.searchPathDefault)
        let analyzer = Analyzer(names: names)
        var typed = try analyzer.expression(try SQLParser.expression(expression), in: Scope())
        if typed.type.isUnknown { typed = try analyzer.coercion.coerce(typed, to: .text, .implicit) }
        let type = typed.type
        let sql = "SELECT " + (try SQLiteWriter(enums: catalog.enums, role: "postgres").sql(typed))
        let parameters = Self.context(sql, user: user, claims: claims)
        return try await database.read { session in
            ValueForm.text(try session.query(sql, parameters)[0][0], type: type)
        }
    }

    /// What a role sees of a relation: the values of one column, in order.
    func visible(_ name: String, _ column: String, role: String, user: String?) async throws -> [String] {
        let relation = try relation(name)
        let compiler = AccessCompiler(catalog: catalog, role: role)
        let type = try #require(relation.column(column)).type
        let condition =
            switch try compiler.using(.select, on: relation, alias: "t") {
            case .always: "1"
            case .never: "0"
            case .expression(let text): text
            }
        let key = SQLiteName.quoted(column: column, of: "t")
        let sql =
            "SELECT \(key) FROM \(try compiler.rowSource(relation, alias: "t")) WHERE \(condition) ORDER BY \(key)"
        let parameters = Self.context(sql, user: user, role: role)
        return try await database.read { session in
            try session.query(sql, parameters).map { ValueForm.text($0[0], type: type) ?? "NULL" }
        }
    }

    func query(_ sql: String) async throws -> [[SQLValue]] {
        try await database.read { session in try session.query(sql).map(\.values) }
    }

    func close() async {
        await database.close()
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// Opens a project for the length of a test.
func withProject(_ sql: String = "", _ body: (TestProject) async throws -> Void) async throws {
    let project = try await TestProject.open(sql)
    do {
        try await body(project)
    } catch {
        await project.close()
        throw error
    }
    await project.close()
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import Testing

@Suite struct MigrationTests {
    private static let first = Migration(number: 1, name: "notes", sql: "create table notes (id bigint primary key)")
    private static let second = Migration(
        number: 2, name: "text",
        sql: "alter table notes add column body text; create unique index notes_body on notes (body)")

    @Test(arguments: TestDatabase.engines)
    func `Each migration is applied once, in order`(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.migrate([Self.first])
            try await database.write { try $0.execute("insert into notes (id) values (1)") }
            try await database.migrate([Self.first, Self.second])
            try await database.migrate([Self.first, Self.second])
            try await database.write { try $0.execute("update notes set body = 'kept' where id = 1") }
            let rows = try await database.read { try $0.query("select body from notes") }
            #expect(rows.map { $0[0] } == [.text("kept")])
        }
    }

    @Test(arguments: TestDatabase.engines)
    func `Migrations that run at once are applied once`(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await database.migrate([Self.first, Self.second]) } }
                try await group.waitForAll()
            }
            let rows = try await database.read { try $0.query("select number from martlet_migrations order by number") }
            #expect(rows.map { $0[0].integerValue } == [1, 2])
        }
    }

    @Test(arguments: TestDatabase.engines)
    func `A failing migration leaves nothing of itself behind`(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            let broken = Migration(
                number: 2, name: "broken", sql: "create table half (id bigint); select no_such_thing")
            await #expect(throws: DatabaseError.self) { try await database.migrate([Self.first, broken]) }
            await #expect(throws: DatabaseError.self) { try await database.read { try $0.query("select * from half") } }
            try await database.migrate([Self.first, Self.second])
        }
    }

    @Test(arguments: TestDatabase.engines)
    func `An edited migration and a later version's database are refused`(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.migrate([Self.first, Self.second])
            let edited = Migration(number: 1, name: "notes", sql: "create table notes (id text primary key)")
            for migrations in [[Self.first], [edited, Self.second]] {
                let error = await #expect(throws: DatabaseError.self) { try await database.migrate(migrations) }
                #expect(error?.sqlState == "F0000")
            }
        }
    }
}

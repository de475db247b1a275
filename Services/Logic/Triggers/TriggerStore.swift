// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

/// What is remembered of triggers: how often their functions said that they are gone.
struct TriggerStore: Sendable {
    let database: Database

    struct Record: Sendable, Equatable {
        let name: String
        let gone: Int64
        let disabledAt: Moment?

        var json: JSONValue {
            ["name": .string(name), "gone": .integer(gone), "disabled_at": disabledAt.json]
        }
    }

    /// Makes the rows those of the project's triggers. One that means something else now is not disabled any more.
    func adopt(_ triggers: [Trigger]) async throws {
        try await database.write { session in
            for row in try session.query("select name from triggers") {
                guard let name = row[0].textValue, !triggers.contains(where: { $0.name == name }) else { continue }
                try session.execute("delete from triggers where name = $1", [.text(name)])
            }
            for trigger in triggers {
                try session.execute(
                    """
                    insert into triggers (name, definition, gone) values ($1, $2, 0) on conflict (name) do update \
                    set definition = excluded.definition, gone = 0, disabled_at = null \
                    where triggers.definition <> excluded.definition
                    """, [.text(trigger.name), .text(trigger.definition)])
            }
        }
    }

    /// False when there is none of this name.
    func enable(_ name: String) async throws -> Bool {
        try await database.write { session in
            try session.execute("update triggers set gone = 0, disabled_at = null where name = $1", [.text(name)]) == 1
        }
    }

    func list() async throws -> [Record] {
        try await database.read { session in
            try session.query("select name, gone, disabled_at from triggers order by name").map { row in
                Record(
                    name: row[0].textValue ?? "", gone: row[1].integerValue ?? 0,
                    disabledAt: row[2].integerValue.map { Moment(microseconds: $0) })
            }
        }
    }

    static func disabled(in session: DatabaseSession) throws -> Set<String> {
        Set(try session.query("select name from triggers where disabled_at is not null").compactMap { $0[0].textValue })
    }
}

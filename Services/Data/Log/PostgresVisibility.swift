// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

extension PostgresEngine {
    package func visible(_ question: VisibilityQuestion) async throws -> VisibilityAnswer {
        let catalog = schema.catalog
        let version = catalog.version
        var visibility = PostgresVisibility(
            question: question, roles: requestRoles, published: catalog.publication)
        visibility = try await administration.read(deadline: question.deadline) { [visibility] session in
            var visibility = visibility
            try visibility.readLog(session)
            try visibility.readRights(session)
            return visibility
        }
        for position in question.claimSets.indices {
            visibility.passed[position] = try await passed(visibility, position)
        }
        return VisibilityAnswer(schemaVersion: version, changes: visibility.answers())
    }

    /// The changes whose rows one caller's policies let through, asked as the caller. Empty when nothing is to ask.
    private func passed(_ visibility: PostgresVisibility, _ position: Int) async throws -> Set<Int> {
        let batches = visibility.batches(for: position)
        let deadline = visibility.question.deadline
        let caller = visibility.question.claimSets[position]
        var passed: Set<Int> = []
        for batch in batches {
            func ask(_ batch: PostgresVisibility.Batch) async throws -> Set<Int> {
                try await requests.read(deadline: deadline) { session in
                    try Self.take(caller, session)
                    return try batch.run(session)
                }
            }
            do {
                passed.formUnion(try await ask(batch))
            } catch let error as DatabaseError where PolicyFault.hides(error) {
                // The policy fails on some row, which must not hide the others.
                for single in batch.singles {
                    do {
                        passed.formUnion(try await ask(single))
                    } catch let error as DatabaseError where PolicyFault.hides(error) {
                        continue
                    }
                }
            }
        }
        return passed
    }
}

/// Answers one question. The server's row security cannot look at a row that is not in its table, so the text of the
/// policies is evaluated over the logged image, as the caller: tables that a policy reads keep their own policies.
struct PostgresVisibility: Sendable {
    let question: VisibilityQuestion
    /// Roles that requests may take.
    let roles: Set<String>
    /// Tables that are logged for triggers alone.
    let published: Set<QualifiedName>
    private var entries: [LoggedChange.Found] = []
    private var rights: [QualifiedName: Rights] = [:]
    /// By claim set, the positions of the changes that the policies let through.
    var passed: [Int: Set<Int>] = [:]

    private struct Rights: Sendable {
        var rowSecurity: Bool
        var standings: [String: ReadStanding]
    }

    init(question: VisibilityQuestion, roles: Set<String>, published: Set<QualifiedName>) {
        self.question = question
        self.roles = roles
        self.published = published
    }

    mutating func readLog(_ session: DatabaseSession) throws {
        entries = try LoggedChange.read(question, published: published, session)
    }

    // MARK: Rights

    mutating func readRights(_ session: DatabaseSession) throws {
        // Without a path every name in a policy is printed with its schema, and means the same wherever it runs.
        try session.execute("select set_config('search_path', 'pg_catalog', true)")
        let asked = Set(question.claimSets.map(\.role)).intersection(roles).sorted().map { JSONValue.string($0) }
        for case .change(let change) in entries where rights[change.relation] == nil {
            let rows = try session.query(
                Self.rights,
                [.text(change.relation.schema), .text(change.relation.name), .text(JSONValue.array(asked).text)])
            var found = Rights(rowSecurity: true, standings: [:])
            for row in rows {
                found.rowSecurity = row[1].textValue == "t"
                found.standings[row[0].textValue ?? ""] = Self.standing(row)
            }
            rights[change.relation] = found
        }
    }

    private static let policies = """
        from pg_policy p where p.polrelid = c.oid and p.polcmd in ('r', '*') and p.polqual is not null and exists \
        (select from unnest(p.polroles) m(role) where m.role = 0 or pg_has_role(r.oid, m.role, 'usage'))
        """

    private static let rights = """
        select r.rolname, c.relrowsecurity, \
        c.relrowsecurity and not (r.rolsuper or r.rolbypassrls \
        or (pg_has_role(r.oid, c.relowner, 'usage') and not c.relforcerowsecurity)), \
        (select json_agg(json_build_object('name', a.attname, 'type', t.typname, 'reads', \
        has_schema_privilege(r.oid, n.oid, 'usage') and has_column_privilege(r.oid, c.oid, a.attnum, 'select')) \
        order by a.attnum) from pg_attribute a join pg_type t on t.oid = a.atttypid \
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), \
        (select json_agg(pg_get_expr(p.polqual, p.polrelid)) \(policies) and p.polpermissive), \
        (select json_agg(pg_get_expr(p.polqual, p.polrelid)) \(policies) and not p.polpermissive) \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        join pg_roles r on r.rolname in (select json_array_elements_text($3::json)) \
        where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
        """

    private static func standing(_ row: SQLRow) -> ReadStanding {
        let columns = array(row[3])
        let names = columns.compactMap { $0["name"]?.stringValue }
        let readable = columns.filter { $0["reads"]?.boolValue == true }.compactMap { $0["name"]?.stringValue }
        let permissive = array(row[4]).compactMap(\.stringValue)
        let restrictive = array(row[5]).compactMap(\.stringValue)
        var rule = ReadStanding.Rule.always
        if row[2].textValue != "f" {
            let own = permissive.count == 1 && restrictive.isEmpty ? permissive.first : nil
            let ownerRule = own.flatMap { text in
                OwnerRule(text) { name in columns.first { $0["name"]?.stringValue == name }?["type"]?.stringValue }
            }
            if permissive.isEmpty {
                rule = .never
            } else if permissive.contains(Self.everything), restrictive.allSatisfy({ $0 == Self.everything }) {
                // As SQLite's engine folds it: else the server is asked once for each caller.
                rule = .always
            } else if let ownerRule {
                rule = .owner(ownerRule)
            } else {
                let allowed = permissive.map { "(\($0))" }.joined(separator: " or ")
                rule = .policies((["(\(allowed))"] + restrictive.map { "(\($0))" }).joined(separator: " and "))
            }
        }
        return ReadStanding(columns: names, readable: Set(readable), rule: rule)
    }

    /// `using (true)` as the server prints it.
    private static let everything = "true"

    private static func array(_ value: SQLValue) -> [JSONValue] {
        (try? JSONValue(parsing: value.textValue ?? "[]"))?.arrayValue ?? []
    }

    // MARK: Policies

    /// The rows of one table that one caller's policies are asked about.
    struct Batch: Sendable {
        var relation: QualifiedName
        var policies: String
        /// Positions in the question, and the images.
        var rows: [(position: Int, image: JSONObject)]

        var singles: [Batch] {
            rows.count < 2 ? [] : rows.map { Batch(relation: relation, policies: policies, rows: [$0]) }
        }

        /// The positions of the rows that pass.
        ///
        /// The image bears the table's own name, by which a policy's subqueries call its columns. Everything else is
        /// further out, so that no column's name means it.
        func run(_ session: DatabaseSession) throws -> Set<Int> {
            let name = PostgresStatement.quote(relation.name)
            let type = "\(PostgresStatement.quote(relation.schema)).\(name)"
            let found = try session.query(
                """
                select i.position, (select coalesce((\(policies)), false) \
                from pg_catalog.json_populate_record(null::\(type), i.image) as \(name)) \
                from pg_catalog.json_array_elements($1::json) with ordinality as i(image, position)
                """, [.text(JSONValue.array(rows.map { .object($0.image) }).text)])
            return Set(
                found.compactMap { row in
                    guard row[1].textValue == "t", let number = row[0].integerValue,
                        rows.indices.contains(Int(number) - 1)
                    else { return nil }
                    return rows[Int(number) - 1].position
                })
        }
    }

    func batches(for position: Int) -> [Batch] {
        let role = question.claimSets[position].role
        var batches: [QualifiedName: Batch] = [:]
        for (place, entry) in entries.enumerated() {
            guard case .change(let change) = entry, change.leavesRow, let record = change.record,
                let standing = rights[change.relation]?.standings[role],
                case .policies(let text) = standing.rule, Self.isWhole(record, standing)
            else { continue }
            batches[change.relation, default: Batch(relation: change.relation, policies: text, rows: [])]
                .rows.append((place, record))
        }
        return batches.keys.sorted().compactMap { batches[$0] }
    }

    /// Whether the image has all columns of now: of a row that was logged before a column came nothing is known.
    private static func isWhole(_ record: JSONObject, _ standing: ReadStanding) -> Bool {
        standing.columns.allSatisfy { record[$0] != nil }
    }

    // MARK: Answers

    func answers() -> [ChangeVisibility] {
        zip(question.sequences, entries).enumerated().map { place, entry in
            var answer = ChangeVisibility(entry.0, claimSets: question.claimSets.count)
            switch entry.1 {
            case .gone: answer.isGone = true
            case .other: break
            case .change(let change):
                let rights = rights[change.relation]
                answer.rowSecurity = rights?.rowSecurity ?? true
                for (position, caller) in question.claimSets.enumerated() {
                    guard let standing = rights?.standings[caller.role] else { continue }
                    let holds =
                        switch standing.rule {
                        case _ where !change.leavesRow: true
                        case .always: true
                        case .never: false
                        case .owner(let rule): change.record.map { rule.holds($0, subject: caller.subject) } ?? false
                        case .policies: passed[position]?.contains(place) ?? false
                        }
                    answer.enter(position, standing, change, holds)
                }
            }
            return answer
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Runs a write plan on SQLite: computes and checks every row first, then writes them (data-semantics 1, 6).
struct RowWrites {
    let session: DatabaseSession
    let access: RowAccess
    let plan: WritePlan
    let relation: Relation
    private let compiler: RowsCompiler
    /// Shapes a row of the result; nil without representation.
    private let representation: CompiledRows?

    /// - Throws: `DatabaseError` 42501, and `RowError` for relations that are no tables.
    init(session: DatabaseSession, access: RowAccess, plan: WritePlan) throws {
        self.session = session
        self.access = access
        self.plan = plan
        compiler = RowsCompiler(access: access)
        relation = try compiler.relation(plan.relation)
        guard relation.kind == .table else {
            throw RowError("55000", "cannot change the view \"\(relation.name.name)\" on SQLite", status: 400)
        }
        representation = try plan.representation.map { try RowsCompiler(access: access).compile($0, from: .image) }
    }

    /// Whether the statement reads rows, so that SELECT policies count too (as with RETURNING on PostgreSQL).
    private var readsRows: Bool {
        if representation != nil || plan.wantsLocation { return true }
        switch plan.action {
        case .insert(_, let rule): return rule != nil
        case .update(_, _, _, let filter, let adding): return filter != nil || !adding.isEmpty
        case .delete(let filter): return filter != nil
        }
    }

    func run() throws -> RowsResult {
        var result = Result()
        switch plan.action {
        case .insert(let rows, let rule): try insert(rows, rule, &result)
        case .update(let columns, let row, let missing, let filter, let adding):
            try update(columns, row, missing, filter, adding, &result)
        case .delete(let filter): try delete(filter, &result)
        }
        return try finished(result)
    }

    // MARK: Results

    private struct Result {
        var shown: [(object: [UInt8], sortKeys: [SQLValue])] = []
        var affected = 0
        var inserted = 0
        var lastImage: [SQLValue] = []
    }

    /// Shapes a row before it is written: embeds show what stood before the statement (data-semantics 7).
    private func show(_ image: [SQLValue], _ result: inout Result) throws {
        result.affected += 1
        result.lastImage = image
        guard let representation else { return }
        var parameters = representation.parameters
        for (slot, value) in zip(representation.slots, image) { parameters[slot] = value }
        // An inner embed without a match leaves the row out of the answer.
        guard let row = try session.query(representation.sql, parameters).first else { return }
        var object: [UInt8] = []
        try representation.appendObject(row.values, session, to: &object)
        result.shown.append((object, representation.sortColumns.map { row[$0] }))
    }

    private func finished(_ result: Result) throws -> RowsResult {
        var answer = RowsResult(rowCount: result.affected, insertedCount: result.inserted)
        if let rows = plan.representation {
            answer.rowCount = result.shown.count
            answer.body = [UInt8(ascii: "[")]
            let sorted =
                rows.order.isEmpty
                ? result.shown
                : result.shown.sorted { left, right in
                    RowOrder.precedes(left.sortKeys, right.sortKeys, rows.order)
                }
            for (position, row) in sorted.enumerated() {
                if position > 0 { answer.body.append(UInt8(ascii: ",")) }
                answer.body.append(contentsOf: row.object)
            }
            answer.body.append(UInt8(ascii: "]"))
        }
        if plan.wantsLocation, result.affected == 1 {
            answer.location = (relation.primaryKey?.columns ?? []).map { name in
                let position = relation.columns.firstIndex { $0.name == name }
                return (
                    name,
                    position.flatMap { ValueForm.text(result.lastImage[$0], type: relation.columns[$0].type) }
                )
            }
        }
        return answer
    }

    // MARK: Insert

    private enum Step {
        case insert([SQLValue])
        case update(StoredRow, [SQLValue])
    }

    private func insert(_ rows: InsertedRows, _ rule: ConflictRule?, _ result: inout Result) throws {
        try access.require(.insert, on: relation, columns: rows.columns.filter { !plan.ruleColumns.contains($0) })
        let provided = try rows.columns.map { try insertable($0) }
        let conflict = try rule.map { try ConflictLookup($0, relation, access) }
        if let rule, rule.merges { try access.require(.update, on: relation, columns: rows.columns) }
        if readsRows { try access.require(.select, on: relation, columns: rule?.columns ?? keyColumns) }
        let check = try RowCheck(.insert, on: relation, access, reads: readsRows)
        let defaults = RowDefaults(session: session, access: access, relation: relation)
        var steps: [Step] = []
        var refusal: (any Error)?
        var seen: Set<[SQLValue]> = []
        for row in rows.rows {
            do {
                let image = try proposed(row, rows, provided, defaults)
                try check.require(image, session)
                if let step = try step(image, conflict, provided, &seen, defaults) {
                    if case .insert = step { result.inserted += 1 }
                    if case .update(_, let merged) = step {
                        try show(merged, &result)
                    } else {
                        try show(image, &result)
                    }
                    steps.append(step)
                }
            } catch {
                // What an earlier row breaks is said first, as when rows are written one by one.
                refusal = error
                break
            }
        }
        let changes = RowChanges(session: session, access: access)
        for step in steps {
            switch step {
            case .insert(let image): try changes.insert(image, into: relation)
            case .update(let row, let image): try changes.update(row, to: image, in: relation)
            }
        }
        if let refusal { throw refusal }
        try changes.finish()
    }

    private var keyColumns: [String] {
        plan.wantsLocation ? relation.primaryKey?.columns ?? [] : []
    }

    private func insertable(_ name: String) throws(DatabaseError) -> Int {
        guard let position = relation.columns.firstIndex(where: { $0.name == name }) else {
            throw DatabaseError(
                sqlState: "42703", message: "column \"\(name)\" of relation \"\(relation.name.name)\" does not exist")
        }
        let column = relation.columns[position]
        if column.generatedExpression != nil {
            throw DatabaseError(
                sqlState: "428C9", message: "cannot insert a non-DEFAULT value into column \"\(name)\"",
                detail: "Column \"\(name)\" is a generated column.")
        }
        if column.identity == .always {
            throw DatabaseError(
                sqlState: "428C9", message: "cannot insert a non-DEFAULT value into column \"\(name)\"",
                detail: "Column \"\(name)\" is an identity column defined as GENERATED ALWAYS.",
                hint: "Use OVERRIDING SYSTEM VALUE to override.")
        }
        return position
    }

    private func proposed(
        _ row: JSONObject, _ rows: InsertedRows, _ provided: [Int], _ defaults: RowDefaults
    ) throws -> [SQLValue] {
        var image = [SQLValue](repeating: .null, count: relation.columns.count)
        var open = Set(relation.columns.indices).subtracting(provided)
        for (name, position) in zip(rows.columns, provided) {
            if let value = row[name] {
                image[position] = try stored(value, relation.columns[position])
            } else if rows.missing == .columnDefault {
                open.insert(position)
            }
        }
        try defaults.fill(&image, at: open.sorted())
        try defaults.generate(&image)
        return image
    }

    private func stored(_ value: JSONValue, _ column: Column) throws(DatabaseError) -> SQLValue {
        let parsed = try ValueForm.parse(value, as: column.type, enums: access.catalog.enums)
        // As rows come out, so that old and new compare.
        if case .boolean(let truth) = parsed { return .integer(truth ? 1 : 0) }
        return parsed
    }

    /// What becomes of a proposed row; nil when it is skipped.
    private func step(
        _ image: [SQLValue], _ conflict: ConflictLookup?, _ provided: [Int], _ seen: inout Set<[SQLValue]>,
        _ defaults: RowDefaults
    ) throws -> Step? {
        guard let conflict, let key = conflict.key(of: image) else { return .insert(image) }
        let existing = try conflict.find(key, session)
        let isNew = seen.insert(key).inserted
        guard conflict.merges else { return existing == nil && isNew ? .insert(image) : nil }
        guard isNew else {
            throw DatabaseError(
                sqlState: "21000", message: "ON CONFLICT DO UPDATE command cannot affect row a second time",
                hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained "
                    + "values.")
        }
        guard let existing else { return .insert(image) }
        let visible = try RowCheck(visibleFor: .update, on: relation, access)
        guard try visible.holds(existing.image, session) else {
            throw DatabaseError(
                sqlState: "42501",
                message: "new row violates row-level security policy (USING expression) for table "
                    + "\"\(relation.name.name)\"")
        }
        var merged = existing.image
        for position in provided { merged[position] = image[position] }
        try defaults.generate(&merged)
        try RowCheck(.update, on: relation, access, reads: true).require(merged, session)
        return .update(existing, merged)
    }

    // MARK: Update and delete

    private func update(
        _ columns: [String], _ row: JSONObject, _ missing: MissingMember, _ filter: LogicTree?,
        _ adding: [Addition], _ result: inout Result
    ) throws {
        let added = adding.map(\.column)
        let own = columns.filter { !plan.ruleColumns.contains($0) }
        try access.require(.update, on: relation, columns: own + added)
        if !added.isEmpty { try access.require(.select, on: relation, columns: added) }
        let positions = try columns.map { try updatable($0) }
        let additions = try adding.map { (position: try updatable($0.column), amount: $0.amount) }
        let targets = try targets(.update, filter)
        let check = try RowCheck(.update, on: relation, access, reads: readsRows)
        let defaults = RowDefaults(session: session, access: access, relation: relation)
        var values: [Int: SQLValue] = [:]
        for (name, position) in zip(columns, positions) {
            if let value = row[name] {
                values[position] = try stored(value, relation.columns[position])
            } else if missing == .null {
                values[position] = .null
            }
        }
        let open = positions.filter { values[$0] == nil }
        var steps: [(row: StoredRow, image: [SQLValue])] = []
        var refusal: (any Error)?
        for target in targets {
            do {
                var image = target.image
                for (position, value) in values { image[position] = value }
                for position in open { image[position] = .null }
                for addition in additions {
                    image[addition.position] = try ValueForm.sum(
                        image[addition.position], addition.amount, type: relation.columns[addition.position].type)
                }
                try defaults.fill(&image, at: open)
                try defaults.generate(&image)
                try check.require(image, session)
                try show(image, &result)
                steps.append((target, image))
            } catch {
                refusal = error
                break
            }
        }
        let changes = RowChanges(session: session, access: access)
        for step in steps { try changes.update(step.row, to: step.image, in: relation) }
        if let refusal { throw refusal }
        try changes.finish()
    }

    private func updatable(_ name: String) throws(DatabaseError) -> Int {
        guard let position = relation.columns.firstIndex(where: { $0.name == name }) else {
            throw DatabaseError(
                sqlState: "42703", message: "column \"\(name)\" of relation \"\(relation.name.name)\" does not exist")
        }
        let column = relation.columns[position]
        if column.generatedExpression != nil {
            throw DatabaseError(
                sqlState: "428C9", message: "column \"\(name)\" can only be updated to DEFAULT",
                detail: "Column \"\(name)\" is a generated column.")
        }
        if column.identity == .always {
            throw DatabaseError(
                sqlState: "428C9", message: "column \"\(name)\" can only be updated to DEFAULT",
                detail: "Column \"\(name)\" is an identity column defined as GENERATED ALWAYS.")
        }
        return position
    }

    private func delete(_ filter: LogicTree?, _ result: inout Result) throws {
        try access.require(.delete, on: relation, columns: [])
        let targets = try targets(.delete, filter)
        for target in targets { try show(target.image, &result) }
        let changes = RowChanges(session: session, access: access)
        for target in targets { try changes.delete(target, from: relation) }
        try changes.finish()
    }

    /// The rows that the statement touches, fixed before the first of them changes.
    private func targets(_ command: Policy.Command, _ filter: LogicTree?) throws -> [StoredRow] {
        var expressions = RowExpressions(access: access)
        let alias = expressions.makeAlias()
        var conditions: [String] = []
        for command in readsRows ? [command, .select] : [command] {
            switch try access.using(command, on: relation, alias: alias) {
            case .always: break
            case .never: conditions.append("0")
            case .expression(let sql): conditions.append(sql)
            }
        }
        if let filter {
            try access.require(.select, on: relation, columns: filter.columns.sorted())
            conditions.append(try compiler.condition(filter, [], alias, &expressions))
        }
        let list = relation.columns.map { SQLiteName.quoted(column: $0.name, of: alias) }
        var sql =
            "SELECT \((["\(alias).rowid"] + list).joined(separator: ", ")) "
            + "FROM \(SQLiteName.quoted(relation.name)) AS \(alias)"
        if !conditions.isEmpty { sql += " WHERE \(RowExpressions.joined(conditions, "AND"))" }
        return try session.query(sql, expressions.parameters.values).map { row in
            StoredRow(rowID: row[0].integerValue ?? 0, image: Array(row.values.dropFirst()))
        }
    }
}

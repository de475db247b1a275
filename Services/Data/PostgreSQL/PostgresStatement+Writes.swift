// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

extension PostgresStatement {
    /// A write, with what it reads back.
    struct Write {
        var sql: String
        /// Whether a row comes back for each affected row: its object (or null), whether it is new, its key's parts.
        var returnsRows: Bool
    }

    mutating func write(_ plan: WritePlan, _ relation: Relation) -> Write {
        let change =
            switch plan.action {
            case .insert(let rows, let rule): insert(rows, rule, relation)
            case .update(let columns, let row, let missing, let filter, let adding):
                update(columns, row, missing, filter, adding, relation)
            case .delete(let filter): "delete from \(Self.quote(relation.name)) as t" + suffix(filter)
            }
        let merges = if case .insert(_, let rule) = plan.action { rule?.merges ?? false } else { false }
        let key = plan.wantsLocation ? relation.primaryKey?.columns ?? [] : []
        guard plan.representation != nil || merges || !key.isEmpty else {
            return Write(sql: change, returnsRows: false)
        }
        return Write(
            sql: reading(back: plan.representation, from: change, showsNew: merges, key: key, relation),
            returnsRows: true)
    }

    /// Wraps a change so that its rows come back as the representation says.
    private mutating func reading(
        back rows: RowSet?, from change: String, showsNew: Bool, key: [String], _ relation: Relation
    ) -> String {
        var names = rows.map(neededColumns) ?? []
        names.formUnion(key)
        var returning = relation.columns.filter { names.contains($0.name) }.map { "t.\(Self.quote($0.name))" }
        // A column name of ours could be one of the table's: the alias is longer than any identifier may be.
        let flag = "martlet_\(String(repeating: "n", count: 50))"
        if showsNew { returning.append("(t.xmax = 0) as \(flag)") }
        if returning.isEmpty { returning.append("1 as \(flag)") }
        var list = "null"
        var rest = ""
        if let rows {
            let object = selectList(rows, alias: "w")
            list = object.isEmpty ? "'{}'" : "(select row_to_json(r.*)::text from (select \(object)) as r)"
            if let condition = condition(of: rows, alias: "w") { rest += " where \(condition)" }
            rest += orderAndWindow(rows, alias: "w")
        }
        list += showsNew ? ", w.\(flag)" : ", true"
        for column in key { list += ", w.\(Self.quote(column))::text" }
        return "with w as (\(change) returning \(returning.joined(separator: ", "))) select \(list) from w\(rest)"
    }

    /// Columns that a representation reads: members, keys of its embeds, order.
    private func neededColumns(_ rows: RowSet) -> Set<String> {
        var names: Set<String> = []
        for item in rows.items {
            switch item {
            case .column(let column): names.insert(column.field.column)
            case .embed(let embed):
                switch embed.relationship.join {
                case .direct(let pairs), .through(_, let pairs, _): names.formUnion(pairs.map(\.left))
                }
            case .rowCount: break
            }
        }
        for term in rows.order where term.embedItem == nil { names.insert(term.field.column) }
        return names
    }

    private mutating func suffix(_ filter: LogicTree?) -> String {
        filter.map { " where \(condition($0, [], "t"))" } ?? ""
    }

    private mutating func insert(_ rows: InsertedRows, _ rule: ConflictRule?, _ relation: Relation) -> String {
        var sql = "insert into \(Self.quote(relation.name)) as t"
        if rows.columns.isEmpty {
            sql += " select from generate_series(1, \(rows.rows.count))"
        } else {
            sql += " (\(rows.columns.map(Self.quote).joined(separator: ", ")))"
            sql += hasDefaults(rows) ? values(rows, relation) : records(rows, relation)
        }
        guard let rule else { return sql }
        sql += " on conflict (\(rule.columns.map(Self.quote).joined(separator: ", ")))"
        guard rule.merges, !rows.columns.isEmpty else { return sql + " do nothing" }
        let assignments = rows.columns.map { "\(Self.quote($0)) = excluded.\(Self.quote($0))" }
        return sql + " do update set \(assignments.joined(separator: ", "))"
    }

    private func hasDefaults(_ rows: InsertedRows) -> Bool {
        rows.missing == .columnDefault && rows.rows.contains { row in rows.columns.contains { row[$0] == nil } }
    }

    /// The rows as one JSON parameter: the server converts each member by its column's type.
    private mutating func records(_ rows: InsertedRows, _ relation: Relation) -> String {
        let names = rows.columns.map { "r.\(Self.quote($0))" }.joined(separator: ", ")
        let document = JSONValue.array(rows.rows.map { .object($0) }).text
        return " select \(names) from json_to_recordset(\(bind(document))) as r(\(definitions(rows.columns, relation)))"
    }

    /// A list of values, because only there a single cell can be DEFAULT.
    private mutating func values(_ rows: InsertedRows, _ relation: Relation) -> String {
        var lists: [String] = []
        for row in rows.rows {
            let document = bind(JSONValue.object(row).text)
            let cells = rows.columns.map { column in
                row[column] == nil
                    ? "default"
                    : "(select r.\(Self.quote(column)) from json_to_record(\(document)) as "
                        + "r(\(definitions([column], relation))))"
            }
            lists.append("(\(cells.joined(separator: ", ")))")
        }
        return " values \(lists.joined(separator: ", "))"
    }

    private mutating func update(
        _ columns: [String], _ row: JSONObject, _ missing: MissingMember, _ filter: LogicTree?,
        _ adding: [Addition], _ relation: Relation
    ) -> String {
        var assignments = columns.map { column in
            missing == .columnDefault && row[column] == nil
                ? "\(Self.quote(column)) = default" : "\(Self.quote(column)) = r.\(Self.quote(column))"
        }
        for addition in adding {
            let name = Self.quote(addition.column)
            assignments.append("\(name) = t.\(name) + \(amount(addition, relation))")
        }
        guard !columns.isEmpty else {
            return "update \(Self.quote(relation.name)) as t set \(assignments.joined(separator: ", "))" + suffix(filter)
        }
        let document = bind(JSONValue.object(row).text)
        return "update \(Self.quote(relation.name)) as t set \(assignments.joined(separator: ", ")) "
            + "from json_to_record(\(document)) as r(\(definitions(columns, relation)))" + suffix(filter)
    }

    /// The amount in the column's type; a decimal keeps all its digits, so that it is the sum that is rounded.
    private mutating func amount(_ addition: Addition, _ relation: Relation) -> String {
        let type = relation.column(addition.column)?.type
        return "\(bind(addition.amount))::\(type?.base == .numeric ? "numeric" : type?.display ?? "numeric")"
    }

    private func definitions(_ columns: [String], _ relation: Relation) -> String {
        columns.map { "\(Self.quote($0)) \(relation.column($0)?.type.display ?? "text")" }.joined(separator: ", ")
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL
import MartletWire

/// What a rule gets to see of one write, and the reads by which it is seen to be still so.
struct RuleSight: Sendable {
    /// A read that was made, and what it brought.
    struct Look: Sendable {
        var step: RowTransaction.Step
        var seen: [UInt8]
    }

    struct Row: Sendable {
        /// As it would be written: for an insert what the client sent, for a deletion nil.
        var record: JSONObject?
        /// As it stands; nil for an insert.
        var old: JSONObject?
        /// Condition on the key; nil for an insert.
        var key: LogicTree?
        /// By the rule's reads, in their order: JSON arrays.
        var reads: [[UInt8]] = []
    }

    private(set) var looks: [Look] = []
    private(set) var rows: [Row] = []

    /// Reads and statements of a rule are the service's own.
    static func service(_ session: RequestSession) -> RequestSession {
        RequestSession(role: "service_role", trace: session.trace, deadline: session.deadline)
    }

    /// Looks at the rows that the write would touch, and makes the rule's reads.
    static func take(_ write: RuledWrite) async throws -> RuleSight {
        var sight = RuleSight()
        switch write.plan.action {
        case .insert(let rows, _):
            guard rows.rows.count <= RuleLimits.rowsMax else { throw tooManyRows }
            sight.rows = rows.rows.map { Row(record: Self.proposed([:], rows.columns, $0, rows.missing)) }
        case .update(let columns, let row, let missing, let filter, _):
            try await sight.find(filter, write)
            for position in sight.rows.indices {
                sight.rows[position].record = proposed(sight.rows[position].old ?? [:], columns, row, missing)
            }
        case .delete(let filter): try await sight.find(filter, write)
        }
        var made: [String: [UInt8]] = [:]
        for position in sight.rows.indices {
            for (number, read) in write.rule.reads.enumerated() {
                let row = sight.rows[position]
                guard let query = read.query(for: row.record ?? row.old ?? [:]) else {
                    sight.rows[position].reads.append(Array("[]".utf8))
                    continue
                }
                let identity = "\(number)?\(query)"
                if made[identity] == nil {
                    let plan = try read.plan(query, write.engine.schema)
                    made[identity] = try await sight.look(plan, service(write.session), write)
                }
                sight.rows[position].reads.append(made[identity] ?? [])
            }
        }
        return sight
    }

    private static let tooManyRows = RowError(
        "rule_rows_exceeded", "A write of a table with a rule touches at most \(RuleLimits.rowsMax) rows",
        hint: "Send several requests.", status: 400)

    /// The row as the client wants it: members that get their defaults are not known.
    private static func proposed(
        _ old: JSONObject, _ columns: [String], _ row: JSONObject, _ missing: MissingMember
    ) -> JSONObject {
        var record = old
        for column in columns { record[column] = row[column] ?? (missing == .null ? JSONValue.null : nil) }
        return record
    }

    private mutating func look(
        _ plan: ReadPlan, _ session: RequestSession, _ write: RuledWrite
    ) async throws -> [UInt8] {
        let result = try await write.engine.read(plan, session: session)
        guard result.rowCount <= RuleLimits.readRowsMax else {
            throw RowError(
                "rule_reads_exceeded", "The rule of this table would have to see too much",
                details: "A read has more than \(RuleLimits.readRowsMax) rows.", status: 400)
        }
        looks.append(Look(step: RowTransaction.Step(.read(plan), as: session), seen: result.body))
        return result.body
    }

    // MARK: Rows

    /// The rows that the filter finds under the caller's policies: by their keys, as the caller; then whole, as the
    /// service, because a rule may look at columns that the caller may not.
    private mutating func find(_ filter: LogicTree?, _ write: RuledWrite) async throws {
        let fields = write.relation.keyFields
        let order = fields.map { OrderTerm(field: $0, nullsFirst: false) }
        let keys = RowSet(
            relation: write.relation.name,
            items: fields.map { .column(SelectedColumn(key: $0.column, field: $0)) }, filter: filter, order: order,
            limit: Int64(RuleLimits.rowsMax) + 1)
        let found = try Self.objects(try await look(ReadPlan(rows: keys), write.session, write))
        guard found.count <= RuleLimits.rowsMax else { throw Self.tooManyRows }
        guard !found.isEmpty else { return }
        let conditions = found.map { key in
            let parts = fields.map { field in
                LogicTree.filter(Filter(field: field, operation: .compare(.equal, key[field.column]?.operand ?? "")))
            }
            return parts.count == 1 ? parts[0] : .and(parts)
        }
        let items = write.relation.columns.map { column in
            let field = FieldReference(column: column.name, type: column.type)
            return SelectItem.column(SelectedColumn(key: column.name, field: field))
        }
        let images = RowSet(
            relation: write.relation.name, items: items,
            filter: conditions.count == 1 ? conditions[0] : .or(conditions), order: order)
        let olds = try Self.objects(try await look(ReadPlan(rows: images), Self.service(write.session), write))
        // A row that went away in between is found out when everything is looked at again.
        rows = zip(olds, conditions).map { Row(old: $0, key: $1) }
    }

    private static func objects(_ body: [UInt8]) throws -> [JSONObject] {
        guard let elements = try JSONValue(parsing: body, depthMax: 512).arrayValue else { return [] }
        return elements.compactMap(\.objectValue)
    }

    // MARK: Question

    /// What the function is sent: JSON, with the rows as the database wrote them.
    func event(of write: RuledWrite) throws(RowError) -> [UInt8] {
        var event: [UInt8] = []
        event += Array(#"{"rule":\#(JSONValue.string(write.rule.name).text)"#.utf8)
        event += Array(#","function":\#(JSONValue.string(write.rule.function).text)"#.utf8)
        event += Array(#","type":"\#(write.event.rawValue)""#.utf8)
        event += Array(#","schema":\#(JSONValue.string(write.relation.name.schema).text)"#.utf8)
        event += Array(#","table":\#(JSONValue.string(write.relation.name.name).text)"#.utf8)
        // What most functions want to know, without an array around it.
        if rows.count == 1 { event += Array(",".utf8) + members(rows[0], write.rule) }
        event += Array(#","rows":["#.utf8)
        for (position, row) in rows.enumerated() {
            if position > 0 { event.append(UInt8(ascii: ",")) }
            event += Array("{".utf8) + members(row, write.rule) + Array("}".utf8)
        }
        event += Array(#"],"claims":\#(write.session.claims)"#.utf8)
        event += Array(#","request_id":\#(JSONValue.string(write.session.trace.requestID).text)}"#.utf8)
        guard event.count <= RuleLimits.bytesMax else {
            throw RowError(
                "rule_reads_exceeded", "The rule of this table would have to see too much",
                details: "It would be sent more than \(RuleLimits.bytesMax) bytes.", status: 400)
        }
        return event
    }

    private func members(_ row: Row, _ rule: WriteRule) -> [UInt8] {
        var text = Array(#""record":\#(row.record?.text ?? "null"),"old_record":\#(row.old?.text ?? "null")"#.utf8)
        text += Array(#","reads":{"#.utf8)
        for (position, read) in rule.reads.enumerated() {
            if position > 0 { text.append(UInt8(ascii: ",")) }
            text += Array("\(JSONValue.string(read.name).text):".utf8) + row.reads[position]
        }
        return text + Array("}".utf8)
    }

    // MARK: Write

    /// The write with the values that the rule gave. Rows that need a statement of their own are written one by one.
    func writes(of write: RuledWrite, _ records: [JSONObject]?) -> [WritePlan] {
        let changes = rows.enumerated().map { position, row in
            Self.changes(records?[position] ?? [:], to: row.record ?? [:])
        }
        guard changes.contains(where: { !$0.isEmpty }) else { return [write.plan] }
        var plan = write.plan
        switch write.plan.action {
        case .insert(let rows, let conflict):
            let merged = Self.merged(rows, changes)
            guard merged.columns.count > rows.columns.count else {
                plan.action = .insert(merged, onConflict: conflict)
                return [plan]
            }
            return zip(merged.rows, changes).map { row, change in
                var plan = write.plan
                let added = merged.columns.filter { change[$0] != nil && !rows.columns.contains($0) }
                let one = InsertedRows(columns: rows.columns + added, rows: [row], missing: merged.missing)
                plan.action = .insert(one, onConflict: conflict)
                plan.ruleColumns = Set(added)
                return plan
            }
        case .update(let columns, let row, let missing, _, let adding):
            return zip(rows, changes).map { target, change in
                var plan = write.plan
                var merged = JSONObject()
                for column in columns { merged[column] = row[column] ?? (missing == .null ? JSONValue.null : nil) }
                for (column, value) in change.members { merged[column] = value }
                let named = columns + change.keys.filter { !columns.contains($0) }
                plan.action = .update(
                    columns: named, row: merged, missing: missing, filter: target.key, adding: adding)
                plan.ruleColumns = Set(change.keys).subtracting(columns)
                return plan
            }
        case .delete: return [write.plan]
        }
    }

    /// Members of a record that are not as they were asked about: what comes back as it was is nobody's change.
    private static func changes(_ record: JSONObject, to proposed: JSONObject) -> JSONObject {
        JSONObject(record.members.filter { proposed[$0.key] != $0.value })
    }

    private static func merged(_ rows: InsertedRows, _ changes: [JSONObject]) -> InsertedRows {
        var merged = rows
        for change in changes {
            for column in change.keys where !merged.columns.contains(column) { merged.columns.append(column) }
        }
        for (position, change) in changes.enumerated() {
            if rows.missing == .null {
                for column in rows.columns where merged.rows[position][column] == nil {
                    merged.rows[position][column] = .null
                }
            }
            for (column, value) in change.members { merged.rows[position][column] = value }
        }
        // A column that the rule gives to some rows has its default in the others.
        merged.missing = .columnDefault
        return merged
    }
}

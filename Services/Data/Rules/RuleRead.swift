// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL

/// A read of a rule: a request of `/rest/v1` with places for values of the record.
struct RuleRead: Sendable {
    let name: String
    private let table: String
    private let parts: [Part]

    private enum Part: Sendable {
        case text(String)
        case column(String)
    }

    /// Operators whose operand is a value as it stands, so that no value can become syntax.
    private static let operators = ["eq", "neq", "gt", "gte", "lt", "lte", "isdistinct"]

    /// - Throws: the reason why it cannot be read.
    init(_ read: RuleDefinition.Read, of relation: Relation) throws(RuleReason) {
        name = read.name
        let pieces = read.query.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = pieces.first, !first.isEmpty, !first.contains("{") else {
            throw RuleReason("a read is table?query")
        }
        table = String(first)
        var parts: [Part] = []
        for (position, parameter) in (pieces.count > 1 ? pieces[1] : "").split(separator: "&").enumerated() {
            if position > 0 { parts.append(.text("&")) }
            guard let open = parameter.firstIndex(where: { $0 == "{" || $0 == "}" }) else {
                parts.append(.text(String(parameter)))
                continue
            }
            let column = parameter[parameter.index(after: open)...].dropLast()
            guard parameter[open] == "{", parameter.last == "}", !column.contains(where: { $0 == "{" || $0 == "}" }),
                Self.isWhole(parameter[..<open])
            else {
                throw RuleReason(
                    "{column} stands alone behind one of \(Self.operators.joined(separator: ", ")), as in id=eq.{id}")
            }
            guard relation.column(String(column)) != nil else {
                throw RuleReason("the table \(relation.name.name) has no column \(column)")
            }
            parts += [.text(String(parameter[..<open])), .column(String(column))]
        }
        self.parts = parts
    }

    /// Whether what stands before a place ends in `=operator.` or `=not.operator.`.
    private static func isWhole(_ text: Substring) -> Bool {
        guard let equals = text.firstIndex(of: "="), text.last == "." else { return false }
        var name = text[text.index(after: equals)...].dropLast()
        if name.hasPrefix("not.") { name = name.dropFirst(4) }
        return operators.contains(String(name))
    }

    /// The query for a record; nil when a value is null or not known, so that nothing can be equal to it.
    func query(for record: JSONObject) -> String? {
        var query = ""
        for part in parts {
            switch part {
            case .text(let text): query += text
            case .column(let column):
                guard let text = record[column]?.operand else { return nil }
                query += PercentEncoding.encode(text)
            }
        }
        return query
    }

    /// - Throws: `RowError` for a query that the schema does not allow.
    func plan(_ query: String, _ schema: SchemaCache) throws(RowError) -> ReadPlan {
        let planner = Planner(schema: schema, rowsMax: Int64(RuleLimits.readRowsMax) + 1)
        let relation = try planner.relation(schema.qualified(table))
        let parsed = try QueryParser.parse(query)
        let page = try PageRange(parsed.window(at: []), header: nil)
        var plan = try planner.readPlan(relation, parsed, page: page, count: .none)
        plan.rows.sort(by: schema)
        return plan
    }

    /// Refuses at the start what would be refused at the first write.
    func check(_ schema: SchemaCache) throws(RowError) {
        let sample = parts.reduce(into: "") { query, part in
            if case .text(let text) = part { query += text } else { query += "0" }
        }
        _ = try plan(sample, schema)
    }
}

/// Why a part of a rule cannot be.
struct RuleReason: Error {
    let text: String

    init(_ text: String) { self.text = text }
}

extension JSONValue {
    /// As the operand of a filter; nil for null.
    var operand: String? {
        switch self {
        case .null: nil
        case .string(let text): text
        default: text
        }
    }
}

extension RowSet {
    /// Orders rows that have no order by their key, here and in every embed, so that the same rows are the same bytes.
    mutating func sort(by schema: SchemaCache) {
        var isCount = false
        for position in items.indices {
            switch items[position] {
            case .rowCount: isCount = true
            case .column: break
            case .embed(var embed):
                embed.rows.sort(by: schema)
                items[position] = .embed(embed)
            }
        }
        guard order.isEmpty, !isCount, let relation = schema.catalog.relations[self.relation] else { return }
        order = relation.keyFields.map { OrderTerm(field: $0, nullsFirst: false) }
    }
}

extension Relation {
    /// The columns of the primary key; empty when there is none.
    var keyFields: [FieldReference] {
        (primaryKey?.columns ?? []).compactMap { name in
            column(name).map { FieldReference(column: name, type: $0.type) }
        }
    }
}

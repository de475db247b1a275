// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL

/// Reads guarded statements and checks them against the schema cache.
struct StatementParser {
    let planner: Planner
    /// Whether statements may name columns to bring back.
    let allowsReturn: Bool

    private static let verbs = ["insert", "update", "delete", "check"]

    /// - Throws: `RowError` `statement_invalid`, and what the planner refuses, with the statement's number in `details`.
    func statements(_ value: JSONValue) throws(RowError) -> [GuardedStatement] {
        guard let elements = value.arrayValue else { throw Self.invalid("statements must be an array") }
        guard elements.count <= StatementLimits.statementsMax else {
            throw Self.invalid("at most \(StatementLimits.statementsMax) statements are allowed")
        }
        var statements: [GuardedStatement] = []
        var inserted = 0
        for (position, element) in elements.enumerated() {
            do throws(RowError) {
                let statement = try statement(element)
                if case .write(let plan) = statement.action, case .insert(let rows, _) = plan.action {
                    inserted += rows.rows.count
                    guard inserted <= StatementLimits.rowsMax else { throw Self.tooManyRows }
                }
                statements.append(statement)
            } catch {
                var error = error
                let place = "statement \(position + 1)"
                error.details = .string(error.details.stringValue.map { "\(place): \($0)" } ?? place)
                throw error
            }
        }
        return statements
    }

    static let tooManyRows = RowError(
        "statement_rows_exceeded", "At most \(StatementLimits.rowsMax) rows are allowed", status: 400)

    static func invalid(_ reason: String) -> RowError {
        RowError("statement_invalid", "A statement cannot be read", details: reason, status: 400)
    }

    private func statement(_ value: JSONValue) throws(RowError) -> GuardedStatement {
        guard let object = value.objectValue else { throw Self.invalid("a statement is an object") }
        let found = Self.verbs.filter { object[$0] != nil }
        guard let verb = found.first, found.count == 1 else {
            throw Self.invalid("a statement has exactly one of insert, update, delete and check")
        }
        guard let target = object[verb]?.stringValue else { throw Self.invalid("'\(verb)' is a text") }
        var allowed = [verb, "expect", "else"]
        if allowsReturn { allowed.append("return") }
        switch verb {
        case "insert": allowed.append("rows")
        case "update": allowed += ["set", "add"]
        default: break
        }
        for key in object.keys where !allowed.contains(key) { throw Self.invalid("'\(key)' has no meaning here") }
        var expectation: Expectation?
        if let expect = object["expect"] {
            guard let read = Expectation(expect) else { throw Self.invalid("'expect' is a number, or min and max") }
            expectation = read
        }
        let refusal: RowError? = if let value = object["else"] { try Refusal.read(value) } else { nil }
        let place = try Target(target, planner)
        if verb == "check" {
            return GuardedStatement(
                action: .read(try check(place, object["return"])), expectation: expectation ?? Expectation(1...Int.max),
                refusal: refusal, showsRows: object["return"] != nil)
        }
        let representation = try object["return"].map { value throws(RowError) in
            try planner.representation(place.relation, try shown(value))
        }
        let plan = WritePlan(
            relation: place.relation.name, action: try action(verb, object, place), representation: representation)
        return GuardedStatement(
            action: .write(plan), expectation: expectation, refusal: refusal, showsRows: representation != nil)
    }

    private func check(_ place: Target, _ shownColumns: JSONValue?) throws(RowError) -> ReadPlan {
        guard let shownColumns else {
            // No rows, only how many there are.
            return try planner.readPlan(place.relation, place.query, page: PageRange(limit: 0), count: .exact)
        }
        var query = try shown(shownColumns)
        query.conditions = place.query.conditions
        let page = PageRange(limit: Int64(StatementLimits.rowsMax) + 1)
        return try Planner(schema: planner.schema, rowsMax: nil).readPlan(
            place.relation, query, page: page, count: .none)
    }

    /// The query with the columns that are to come back.
    private func shown(_ value: JSONValue) throws(RowError) -> ParsedQuery {
        guard let text = value.stringValue else { throw Self.invalid("'return' is a text") }
        var query = ParsedQuery()
        query.select = try SelectParser.parse(text)
        query.hasSelect = true
        let isPlain = query.select.allSatisfy { node in
            switch node {
            case .star, .field: true
            default: false
            }
        }
        guard isPlain, !query.select.isEmpty else { throw Self.invalid("'return' names columns alone") }
        return query
    }

    private func action(_ verb: String, _ object: JSONObject, _ place: Target) throws(RowError) -> WriteAction {
        switch verb {
        case "insert":
            guard place.filter == nil else { throw Self.invalid("'insert' takes no filter") }
            return .insert(try rows(object["rows"], place.relation), onConflict: nil)
        case "update":
            guard let filter = place.filter else { throw Self.invalid("'update' needs a filter") }
            return try update(object, filter, place.relation)
        default:
            guard let filter = place.filter else { throw Self.invalid("'delete' needs a filter") }
            return .delete(filter: filter)
        }
    }

    /// Columns that a row does not name get their defaults.
    private func rows(_ value: JSONValue?, _ relation: Relation) throws(RowError) -> InsertedRows {
        guard let elements = value?.arrayValue, !elements.isEmpty else {
            throw Self.invalid("'insert' needs 'rows', an array")
        }
        var rows: [JSONObject] = []
        var columns: [String] = []
        for element in elements {
            guard let row = element.objectValue else { throw Self.invalid("a row is an object") }
            for key in row.keys where !columns.contains(key) { columns.append(key) }
            rows.append(row)
        }
        try planner.checkPayload(columns, of: relation)
        return InsertedRows(columns: columns, rows: rows, missing: .columnDefault)
    }

    private func update(_ object: JSONObject, _ filter: LogicTree, _ relation: Relation) throws(RowError) -> WriteAction
    {
        guard let values = (object["set"] ?? [:]).objectValue else { throw Self.invalid("'set' is an object") }
        guard let amounts = (object["add"] ?? [:]).objectValue else { throw Self.invalid("'add' is an object") }
        guard !(values.isEmpty && amounts.isEmpty) else { throw Self.invalid("'update' needs 'set' or 'add'") }
        try planner.checkPayload(values.keys + amounts.keys, of: relation)
        var adding: [Addition] = []
        for (column, amount) in amounts.members {
            guard case .number(let text) = amount else { throw Self.invalid("'add' takes numbers") }
            guard values[column] == nil else { throw Self.invalid("'\(column)' is both set and added to") }
            guard let type = relation.column(column)?.type, ValueForm.isAddable(type) else {
                throw Self.invalid("'\(column)' is no number")
            }
            adding.append(Addition(column: column, amount: text))
        }
        return .update(columns: values.keys, row: values, missing: .null, filter: filter, adding: adding)
    }
}

/// Where a statement works: `table?filters`, or `schema.table?filters`.
private struct Target {
    var relation: Relation
    var query: ParsedQuery
    var filter: LogicTree?

    init(_ text: String, _ planner: Planner) throws(RowError) {
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, !name.isEmpty else { throw StatementParser.invalid("the table is missing") }
        relation = try planner.relation(planner.schema.qualified(String(name)))
        query = parts.count > 1 ? try QueryParser.parse(String(parts[1])) : ParsedQuery()
        let isFilter =
            !query.hasSelect && query.columns == nil && query.onConflict == nil && query.orders.isEmpty
            && query.windows.isEmpty && query.conditions.allSatisfy { $0.path.isEmpty }
        guard isFilter else { throw StatementParser.invalid("behind the table stand filters alone") }
        filter = try planner.filter(relation, query)
    }
}

extension SchemaCache {
    /// `schema.table`, or a table of the first exposed schema.
    func qualified(_ text: String) -> QualifiedName {
        if let dot = text.firstIndex(of: "."), exposedSchemas.contains(String(text[..<dot])) {
            return QualifiedName(String(text[..<dot]), String(text[text.index(after: dot)...]))
        }
        return QualifiedName(exposedSchemas.first ?? "public", text)
    }
}

/// A refusal in an application's own words: `{status, code, message, details, hint}`.
enum Refusal {
    private static let members = ["status", "code", "message", "details", "hint"]

    /// - Throws: `RowError` `statement_invalid`.
    static func read(_ value: JSONValue) throws(RowError) -> RowError {
        guard let object = value.objectValue, object.keys.allSatisfy({ members.contains($0) }) else {
            throw StatementParser.invalid("a refusal is an object of status, code, message, details and hint")
        }
        guard let status = (object["status"] ?? 409).int64Value, 400...599 ~= status else {
            throw StatementParser.invalid("a refusal's status is 400 to 599")
        }
        guard let code = object["code"]?.stringValue, !code.isEmpty, code.utf8.count <= StatementLimits.codeBytesMax,
            code.utf8.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            })
        else { throw StatementParser.invalid("a refusal's code is letters, digits and _") }
        var error = RowError(code, try text(object["message"]) ?? code, status: UInt16(status))
        error.hint = try text(object["hint"])
        error.details = try text(object["details"]).map { .string($0) } ?? .null
        return error
    }

    private static func text(_ value: JSONValue?) throws(RowError) -> String? {
        guard let value, !value.isNull else { return nil }
        guard let text = value.stringValue, text.utf8.count <= StatementLimits.textBytesMax else {
            throw StatementParser.invalid("texts of a refusal have at most \(StatementLimits.textBytesMax) bytes")
        }
        return text
    }
}

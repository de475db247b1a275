// SPDX-License-Identifier: Apache-2.0

/// Writes typed expressions and queries as SQLite's SQL.
struct SQLiteWriter {
    /// Where the SQL will stand: a stored definition cannot see the request, and a migration has none.
    enum Place { case statement, definition, migration }

    let enums: [QualifiedName: EnumType]
    /// What `current_user` answers.
    let role: String
    let place: Place
    /// The FROM item of a table or view, its alias included.
    let relation: (QualifiedName, String, RelationUse) throws -> String

    init(
        enums: [QualifiedName: EnumType], role: String, place: Place = .statement,
        relation: @escaping (QualifiedName, String, RelationUse) throws -> String = Self.plain
    ) {
        self.enums = enums
        self.role = role
        self.place = place
        self.relation = relation
    }

    /// For telling equal expressions by their text; its output is never run.
    static var forComparison: SQLiteWriter { SQLiteWriter(enums: [:], role: "") }

    private static func plain(_ name: QualifiedName, _ alias: String, _: RelationUse) -> String {
        SQLiteName.quoted(name) + " AS " + SQLiteName.quoted(raw: alias)
    }

    func sql(_ expression: TypedExpression) throws -> String {
        let type = expression.type
        switch expression.node {
        case .literal(let text):
            return type.isUnknown
                ? text.map(LiteralForm.quoted) ?? "NULL"
                : try LiteralForm.sql(of: text, type: type, at: expression.location)
        case .column(let name, ""): return SQLiteName.quoted(column: name)
        case .column(let name, let alias): return SQLiteName.quoted(column: name, of: alias)
        case .context(let value): return try context(value, at: expression.location)
        case .currentRole:
            guard place != .definition else { throw Self.notStored("current_user", expression.location) }
            return LiteralForm.quoted(role)
        case .call(let signature, let arguments): return try call(signature, arguments, at: expression.location)
        case .cast(let argument, let isExplicit): return try cast(argument, to: type, isExplicit: isExplicit)
        case .all(let parts): return try joined(parts, by: " AND ", empty: "1")
        case .any(let parts): return try joined(parts, by: " OR ", empty: "0")
        case .not(let argument): return "(NOT \(try sql(argument)))"
        case .isNull(let argument, let negated): return "(\(try sql(argument)) IS \(negated ? "NOT " : "")NULL)"
        case .isTruth(let argument, let truth, let negated):
            return "(\(try sql(argument)) IS \(negated ? "NOT " : "")\(truth ? 1 : 0))"
        case .comparison(let comparison, let left, let right):
            return try compare(comparison.rawValue, left, right, isOrder: !comparison.isEquality)
        case .isDistinct(let left, let right, let negated):
            return try compare(negated ? "IS" : "IS NOT", left, right, isOrder: false)
        case .isIn(let subject, let items, let negated):
            let list = try items.map(sql).joined(separator: ", ")
            return "(\(try sql(subject)) \(negated ? "NOT " : "")IN (\(list)))"
        case .isElement(let subject, let list, let negated):
            return "(\(negated ? "NOT " : "")martlet_array_any(\(try sql(subject)), \(try sql(list))))"
        case .conditional(let branches, let otherwise):
            let cases = try branches.map { "WHEN \(try sql($0.condition)) THEN \(try sql($0.result))" }
            return "(CASE " + cases.joined(separator: " ") + (try otherwise.map { " ELSE \(try sql($0))" } ?? "")
                + " END)"
        case .coalesce(let arguments):
            let parts = try arguments.map(sql)
            return parts.count == 1 ? parts[0] : "coalesce(\(parts.joined(separator: ", ")))"
        case .extreme(let arguments, let isGreatest):
            return try extreme(arguments, isGreatest, type, expression.location)
        case .like(let subject, let pattern, let ignoresCase, let negated):
            let function = ignoresCase ? "martlet_ilike" : "martlet_like"
            return "(\(negated ? "NOT " : "")\(function)(\(try sql(subject)), \(try sql(pattern))))"
        case .exists(let query): return "(EXISTS (\(try sql(query))))"
        case .scalar(let query): return try scalar(query)
        case .isInQuery(let subject, let query, let negated):
            let collation = subject.type.base == .numeric ? " COLLATE martlet_numeric" : ""
            return "(\(try sql(subject))\(collation) \(negated ? "NOT " : "")IN (\(try sql(query))))"
        case .array(let items): return try array(items, of: type.element, at: expression.location)
        case .aggregate(let aggregate): return try self.aggregate(aggregate)
        }
    }

    private func joined(_ parts: [TypedExpression], by separator: String, empty: String) throws -> String {
        parts.isEmpty ? empty : "(" + (try parts.map(sql).joined(separator: separator)) + ")"
    }

    private func context(_ value: ContextValue, at location: Int?) throws -> String {
        if place == .migration {
            // A subquery that depends on nothing runs once: one moment for every row.
            return value == .now ? "(SELECT martlet_now())" : "NULL"
        }
        guard place == .statement else {
            throw Self.notStored(value == .now ? "the current time" : "the caller's identity", location)
        }
        return "?\(value.rawValue)"
    }

    static func notStored(_ what: String, _ location: Int?) -> TranslationFault {
        TranslationFault("\(what) cannot stand in a constraint, index or generated column on SQLite", at: location)
    }

    private func call(_ signature: Signature, _ arguments: [TypedExpression], at location: Int?) throws -> String {
        if place == .definition, signature.volatility == .volatile {
            throw Self.notStored("the volatile function \(signature.name)", location)
        }
        if signature.template == "%now" { return try context(.now, at: location) }
        return signature.sql(try arguments.map(sql))
    }

    // MARK: Comparisons

    private func compare(
        _ symbol: String, _ left: TypedExpression, _ right: TypedExpression, isOrder: Bool
    ) throws -> String {
        if left.type.base == .numeric, !left.type.isArray { return try compareNumeric(symbol, left, right) }
        let type = left.type
        if type.base == .jsonb, !type.isArray {
            let same = "martlet_jsonb_equals(\(try sql(left)), \(try sql(right)))"
            switch symbol {
            case "=": return "(\(same))"
            case "<>": return "(NOT \(same))"
            default:
                let sides = (try sql(left), try sql(right))
                let distinct = "coalesce(NOT \(same), (\(sides.0) IS NULL) <> (\(sides.1) IS NULL))"
                return symbol == "IS NOT" ? "(\(distinct))" : "(NOT \(distinct))"
            }
        }
        if type.base == .interval, !type.isArray {
            return "(martlet_interval_span(\(try sql(left))) \(symbol) martlet_interval_span(\(try sql(right))))"
        }
        if type.base == .bpchar {
            return "(rtrim(\(try sql(left)), ' ') \(symbol) rtrim(\(try sql(right)), ' '))"
        }
        if isOrder, type.base == .enumeration {
            return "(\(try rank(left)) \(symbol) \(try rank(right)))"
        }
        return "(\(try sql(left)) \(symbol) \(try sql(right)))"
    }

    /// A scaled column is compared as the integer it is when the other side is a constant of no more digits or a column
    /// of the same scale, so that its index serves.
    private func compareNumeric(_ symbol: String, _ left: TypedExpression, _ right: TypedExpression) throws -> String {
        if let scale = left.type.storedScale, scale == right.type.storedScale {
            return "(\(try sql(left)) \(symbol) \(try sql(right)))"
        }
        if let scale = left.type.storedScale, let constant = Self.scaled(right, by: scale) {
            return "(\(try sql(left)) \(symbol) \(constant))"
        }
        if let scale = right.type.storedScale, let constant = Self.scaled(left, by: scale) {
            return "(\(constant) \(symbol) \(try sql(right)))"
        }
        return "(\(try decimal(left)) COLLATE martlet_numeric \(symbol) \(try decimal(right)))"
    }

    private static func scaled(_ expression: TypedExpression, by scale: Int) -> String? {
        guard case .literal(let text?) = expression.node, expression.type.storedScale == nil,
            let value = Decimal(text)?.scaled(by: scale)
        else { return nil }
        return LiteralForm.number(value)
    }

    /// A numeric expression as decimal text, whatever its own form.
    func decimal(_ expression: TypedExpression) throws -> String {
        guard let scale = expression.type.storedScale else { return try sql(expression) }
        return "martlet_decimal_unscale(\(try sql(expression)), \(scale))"
    }

    /// Position of an enum's label: the order of its values.
    func rank(_ expression: TypedExpression) throws -> String {
        guard let name = expression.type.enumName, let labels = enums[name]?.labels, !labels.isEmpty else {
            return try sql(expression)
        }
        let cases = labels.enumerated().map { "WHEN \(LiteralForm.quoted($1)) THEN \($0)" }.joined(separator: " ")
        return "(CASE \(try sql(expression)) \(cases) END)"
    }

    private func extreme(
        _ arguments: [TypedExpression], _ isGreatest: Bool, _ type: ColumnType, _ location: Int?
    ) throws -> String {
        let name = isGreatest ? "greatest" : "least"
        guard !type.isArray, type.isNumber || type.isText || type.isMoment || type.base == .time || type.base == .bool
        else { throw TranslationFault("\(name) of \(type.display) is not translated", at: location) }
        let isDecimal = type.base == .numeric && type.storedScale == nil
        return "martlet_\(isDecimal ? "decimal_" : "")\(name)(\(try arguments.map(sql).joined(separator: ", ")))"
    }

    /// Elements in the form of arrays on disk: what PostgreSQL's `to_json` gives.
    private func array(_ items: [TypedExpression], of element: ColumnType, at location: Int?) throws -> String {
        var parts: [String] = []
        for item in items {
            let value = try sql(item)
            switch element.base {
            case .int2, .int4, .int8, .text, .varchar, .uuid, .enumeration: parts.append(value)
            case .bool: parts.append("json(CASE \(value) WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)")
            default:
                throw TranslationFault("ARRAY[…] of \(element.display) is not translated", at: location)
            }
        }
        return "json_array(\(parts.joined(separator: ", ")))"
    }

    private func aggregate(_ aggregate: Aggregate) throws -> String {
        let filter = try aggregate.filter.map { " FILTER (WHERE \(try sql($0)))" } ?? ""
        guard let argument = aggregate.argument else { return "count(*)\(filter)" }
        let value = try sql(argument)
        let distinct = aggregate.isDistinct ? "DISTINCT " : ""
        let isDecimal = argument.type.base == .numeric
        switch aggregate.kind {
        case .count:
            let collation =
                aggregate.isDistinct && isDecimal && argument.type.storedScale == nil
                ? " COLLATE martlet_numeric" : ""
            return "count(\(distinct)\(value)\(collation))\(filter)"
        case .sum: return "\(isDecimal ? "martlet_decimal_sum" : "sum")(\(distinct)\(value))\(filter)"
        case .avg: return "\(isDecimal ? "martlet_decimal_avg" : "avg")(\(distinct)\(value))\(filter)"
        case .min, .max:
            return "\(aggregate.kind.rawValue)(\(value)\(isDecimal ? " COLLATE martlet_numeric" : ""))\(filter)"
        case .stringAgg:
            let separator = try aggregate.separator.map { ", \(try sql($0))" } ?? ""
            return "group_concat(\(value)\(separator))\(filter)"
        case .arrayAgg: return "martlet_array_agg(\(distinct)\(value))\(filter)"
        case .jsonAgg: return "martlet_json_agg(\(distinct)\(value))\(filter)"
        case .jsonbAgg: return "martlet_jsonb_agg(\(distinct)\(value))\(filter)"
        case .boolAnd: return "min(\(value))\(filter)"
        case .boolOr: return "max(\(value))\(filter)"
        }
    }
}

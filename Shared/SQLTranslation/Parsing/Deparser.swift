// SPDX-License-Identifier: Apache-2.0

/// Writes an analysed parse tree back as PostgreSQL text: what the catalogue keeps of conditions, defaults and views.
///
/// Relations and enums get their schemas, `*` its columns, and every operator its parentheses, so that the text means
/// the same whatever is created later. It covers the nodes that the analyser takes; others are refused there.
final class Deparser {
    private let names: NameResolver
    private let log: ReferenceLog
    /// New names of columns, by the reference's byte offset in the text that was analysed.
    private let columnNames: [Int: String]
    private let relationNames: [QualifiedName: QualifiedName]
    /// The name by which references to the own row are qualified, when it changes.
    private let ownRowName: String?
    /// Names that queries of WITH give, which are not relations.
    private var commonTables: [String] = []

    init(
        names: NameResolver, log: ReferenceLog, columnNames: [Int: String] = [:],
        relationNames: [QualifiedName: QualifiedName] = [:], ownRowName: String? = nil
    ) {
        self.names = names
        self.log = log
        self.columnNames = columnNames
        self.relationNames = relationNames
        self.ownRowName = ownRowName
    }

    func expression(_ node: ParseNode?) throws(TranslationFault) -> String {
        guard let node else { throw TranslationFault("an expression is missing", sqlState: "42601") }
        switch node.kind {
        case "A_Const": return constant(node)
        case "ColumnRef":
            var parts = node.strings("fields")
            if let location = node.location, let name = columnNames[location], !parts.isEmpty {
                parts[parts.count - 1] = name
            }
            if parts.count > 1, let ownRowName, let location = node.location, log.columns[location]?.isOwnRow == true {
                parts = [ownRowName, parts[parts.count - 1]]
            }
            if node.list("fields").last?.kind == "A_Star" {
                return (parts.map(Self.quoted) + ["*"]).joined(separator: ".")
            }
            return parts.map(Self.quoted).joined(separator: ".")
        case "TypeCast":
            return "(\(try expression(node.node("arg")))::\(try type(node.bare("typeName", as: "TypeName"))))"
        case "A_Expr": return try operation(node)
        case "BoolExpr":
            let parts = try list(node.list("args"))
            switch node.string("boolop") {
            case "NOT_EXPR": return "(NOT \(parts.first ?? ""))"
            case "OR_EXPR": return "(" + parts.joined(separator: " OR ") + ")"
            default: return "(" + parts.joined(separator: " AND ") + ")"
            }
        case "NullTest":
            let test = node.string("nulltesttype") == "IS_NOT_NULL" ? "IS NOT NULL" : "IS NULL"
            return "(\(try expression(node.node("arg"))) \(test))"
        case "BooleanTest":
            let test = (node.string("booltesttype") ?? "IS_TRUE").split(separator: "_").joined(separator: " ")
            return "(\(try expression(node.node("arg"))) \(test))"
        case "CaseExpr": return try conditional(node)
        case "CoalesceExpr": return "COALESCE(\(try list(node.list("args")).joined(separator: ", ")))"
        case "MinMaxExpr":
            let name = node.string("op") == "IS_LEAST" ? "LEAST" : "GREATEST"
            return "\(name)(\(try list(node.list("args")).joined(separator: ", ")))"
        case "A_ArrayExpr": return "ARRAY[\(try list(node.list("elements")).joined(separator: ", "))]"
        case "RowExpr": return "ROW(\(try list(node.list("args")).joined(separator: ", ")))"
        case "List": return try list(node.items).joined(separator: ", ")
        case "FuncCall": return try call(node)
        case "SubLink": return try subquery(node)
        case "SQLValueFunction":
            let name = node.string("op") ?? ""
            return name.hasPrefix("SVFOP_") ? String(name.dropFirst(6)) : name
        default: throw TranslationFault("\(ParseNode.words(node.kind)) is not translated", at: node.location)
        }
    }

    func list(_ nodes: [ParseNode]) throws(TranslationFault) -> [String] {
        var result: [String] = []
        for node in nodes { result.append(try expression(node)) }
        return result
    }

    private func constant(_ node: ParseNode) -> String {
        if node.flag("isnull") { return "NULL" }
        if let text = node.bare("sval", as: "String") { return LiteralForm.quoted(text.string("sval") ?? "") }
        if let value = node.bare("boolval", as: "Boolean") { return value.flag("boolval") ? "true" : "false" }
        if let value = node.bare("fval", as: "Float") { return Self.signed(value.string("fval") ?? "0") }
        return Self.signed(String(node.bare("ival", as: "Integer")?.integer("ival") ?? 0))
    }

    private static func signed(_ number: String) -> String { number.hasPrefix("-") ? "(\(number))" : number }

    private func operation(_ node: ParseNode) throws(TranslationFault) -> String {
        let symbol = node.strings("name").last ?? ""
        let left = node.node("lexpr")
        guard let left else { return "(\(symbol) \(try expression(node.node("rexpr"))))" }
        let first = try expression(left)
        let second = try expression(node.node("rexpr"))
        switch node.string("kind") {
        case "AEXPR_OP_ANY": return "(\(first) \(symbol) ANY (\(second)))"
        case "AEXPR_OP_ALL": return "(\(first) \(symbol) ALL (\(second)))"
        case "AEXPR_DISTINCT": return "(\(first) IS DISTINCT FROM \(second))"
        case "AEXPR_NOT_DISTINCT": return "(\(first) IS NOT DISTINCT FROM \(second))"
        case "AEXPR_NULLIF": return "NULLIF(\(first), \(second))"
        case "AEXPR_IN": return "(\(first) \(symbol == "<>" ? "NOT " : "")IN (\(second)))"
        case "AEXPR_LIKE": return "(\(first) \(symbol == "!~~" ? "NOT " : "")LIKE \(second))"
        case "AEXPR_ILIKE": return "(\(first) \(symbol == "!~~*" ? "NOT " : "")ILIKE \(second))"
        case "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN":
            let bounds = try list(node.node("rexpr")?.items ?? [])
            let word = node.string("kind") == "AEXPR_BETWEEN" ? "BETWEEN" : "NOT BETWEEN"
            return "(\(first) \(word) \(bounds.joined(separator: " AND ")))"
        default: return "(\(first) \(symbol) \(second))"
        }
    }

    private func conditional(_ node: ParseNode) throws(TranslationFault) -> String {
        var text = "CASE"
        if let subject = node.node("arg") { text += " \(try expression(subject))" }
        for when in node.list("args") {
            text += " WHEN \(try expression(when.node("expr"))) THEN \(try expression(when.node("result")))"
        }
        if let otherwise = node.node("defresult") { text += " ELSE \(try expression(otherwise))" }
        return "(\(text) END)"
    }

    private func call(_ node: ParseNode) throws(TranslationFault) -> String {
        let name = node.strings("funcname").map(Self.quoted).joined(separator: ".")
        var arguments = node.flag("agg_star") ? "*" : try list(node.list("args")).joined(separator: ", ")
        if node.flag("agg_distinct") { arguments = "DISTINCT " + arguments }
        let filter = node.has("agg_filter") ? " FILTER (WHERE \(try expression(node.node("agg_filter"))))" : ""
        return "\(name)(\(arguments))\(filter)"
    }

    private func subquery(_ node: ParseNode) throws(TranslationFault) -> String {
        guard let select = node.node("subselect") else { throw TranslationFault("a subquery is missing") }
        let text = try query(select)
        switch node.string("subLinkType") {
        case "EXISTS_SUBLINK", nil: return "EXISTS (\(text))"
        case "EXPR_SUBLINK": return "(\(text))"
        case "ARRAY_SUBLINK": return "ARRAY(\(text))"
        case "ANY_SUBLINK":
            return "(\(try expression(node.node("testexpr"))) \(node.strings("operName").last ?? "=") ANY (\(text)))"
        case "ALL_SUBLINK":
            return "(\(try expression(node.node("testexpr"))) \(node.strings("operName").last ?? "=") ALL (\(text)))"
        default: throw TranslationFault("this kind of subquery is not translated", at: node.location)
        }
    }

    func type(_ node: ParseNode?) throws(TranslationFault) -> String {
        guard let node else { throw TranslationFault("a type is missing", sqlState: "42601") }
        let parts = node.strings("names")
        var text: String
        if let enumeration = names.enumeration(parts) {
            text = Self.quoted(enumeration.name.schema) + "." + Self.quoted(enumeration.name.name)
        } else {
            text = Self.quoted(parts.last ?? "")
        }
        let modifiers = try list(node.list("typmods"))
        if !modifiers.isEmpty { text += "(\(modifiers.joined(separator: ", ")))" }
        return text + (node.has("arrayBounds") ? "[]" : "")
    }

    // MARK: Queries

    func query(_ node: ParseNode) throws(TranslationFault) -> String {
        var text = ""
        let visible = commonTables.count
        defer { commonTables.removeSubrange(visible...) }
        if let clause = node.bare("withClause", as: "WithClause") {
            var tables: [String] = []
            for table in clause.list("ctes") {
                let name = table.string("ctename") ?? ""
                guard let select = table.node("ctequery") else { continue }
                tables.append("\(Self.quoted(name)) AS (\(try query(select)))")
                commonTables.append(name)
            }
            text = "WITH \(tables.joined(separator: ", ")) "
        }
        if let symbol = node.string("op"), symbol != "SETOP_NONE",
            let left = node.bare("larg", as: "SelectStmt"), let right = node.bare("rarg", as: "SelectStmt")
        {
            let word = symbol.dropFirst("SETOP_".count) + (node.flag("all") ? " ALL" : "")
            text += "(\(try query(left))) \(word) (\(try query(right)))"
        } else {
            text += try select(node)
        }
        let order = node.list("sortClause")
        if !order.isEmpty {
            var terms: [String] = []
            for term in order { terms.append(try sortTerm(term)) }
            text += " ORDER BY " + terms.joined(separator: ", ")
        }
        if let limit = node.node("limitCount") { text += " LIMIT \(try expression(limit))" }
        if let offset = node.node("limitOffset") { text += " OFFSET \(try expression(offset))" }
        return text
    }

    private func select(_ node: ParseNode) throws(TranslationFault) -> String {
        var targets: [String] = []
        for target in node.list("targetList") { targets += try self.target(target) }
        var text = "SELECT \(node.list("distinctClause").isEmpty ? "" : "DISTINCT ")" + targets.joined(separator: ", ")
        var items: [String] = []
        for item in node.list("fromClause") { items.append(try from(item)) }
        if !items.isEmpty { text += " FROM " + items.joined(separator: ", ") }
        if let condition = node.node("whereClause") { text += " WHERE \(try expression(condition))" }
        let groups = try list(node.list("groupClause"))
        if !groups.isEmpty { text += " GROUP BY " + groups.joined(separator: ", ") }
        if let having = node.node("havingClause") { text += " HAVING \(try expression(having))" }
        return text
    }

    /// A target with the name it has today, which a later rename of its column does not change.
    private func target(_ node: ParseNode) throws(TranslationFault) -> [String] {
        guard let value = node.node("val") else { return [] }
        if value.kind == "ColumnRef", value.list("fields").last?.kind == "A_Star" {
            guard let location = value.location, let columns = log.stars[location] else {
                return [try expression(value)]
            }
            return columns.map { "\(Self.quoted($0.qualifier)).\(Self.quoted($0.column)) AS \(Self.quoted($0.column))" }
        }
        let name = node.string("name") ?? Analyzer.outputName(of: value)
        return ["\(try expression(value)) AS \(Self.quoted(name))"]
    }

    private func from(_ node: ParseNode) throws(TranslationFault) -> String {
        let alias = node.bare("alias", as: "Alias")?.string("aliasname")
        switch node.kind {
        case "RangeVar":
            let written = node.string("relname") ?? ""
            if !node.has("schemaname"), commonTables.contains(written) {
                return Self.quoted(written) + (alias.map { " AS \(Self.quoted($0))" } ?? "")
            }
            let name = try names.relationName(node)
            let current = relationNames[name] ?? name
            // References inside the text go by the name that was written.
            return "\(Self.quoted(current)) AS \(Self.quoted(alias ?? written))"
        case "RangeSubselect":
            guard let select = node.node("subquery") else { throw TranslationFault("a subquery is missing") }
            return "(\(try query(select))) AS \(Self.quoted(alias ?? ""))"
        case "JoinExpr":
            guard let left = node.node("larg"), let right = node.node("rarg") else {
                throw TranslationFault("a join without both sides", at: node.location)
            }
            let condition = try node.node("quals").map { (quals) throws(TranslationFault) in try expression(quals) }
            let using = node.strings("usingClause").map(Self.quoted)
            let word =
                switch node.string("jointype") {
                case "JOIN_LEFT": "LEFT JOIN"
                case "JOIN_RIGHT": "RIGHT JOIN"
                default: condition == nil && using.isEmpty ? "CROSS JOIN" : "JOIN"
                }
            let test =
                condition.map { " ON \($0)" } ?? (using.isEmpty ? "" : " USING (\(using.joined(separator: ", ")))")
            return "(\(try from(left)) \(word) \(try from(right))\(test))"
        default: throw TranslationFault("\(ParseNode.words(node.kind)) in FROM is not translated", at: node.location)
        }
    }

    private func sortTerm(_ term: ParseNode) throws(TranslationFault) -> String {
        var text = try expression(term.node("node"))
        if term.string("sortby_dir") == "SORTBY_DESC" { text += " DESC" }
        switch term.string("sortby_nulls") {
        case "SORTBY_NULLS_FIRST": text += " NULLS FIRST"
        case "SORTBY_NULLS_LAST": text += " NULLS LAST"
        default: break
        }
        return text
    }

    // MARK: Identifiers

    static func quoted(_ name: QualifiedName) -> String { quoted(name.schema) + "." + quoted(name.name) }

    /// A name as PostgreSQL's `quote_ident` writes it.
    static func quoted(_ name: String) -> String {
        let isPlain = name.utf8.enumerated().allSatisfy { index, byte in
            (97...122).contains(byte) || byte == 95 || (index > 0 && (48...57).contains(byte))
        }
        if isPlain, !name.isEmpty, !reserved.contains(name) { return name }
        return SQLiteName.quoted(raw: name)
    }

    /// Words that cannot stand for a column without quotes.
    private static let reserved: Set<String> = [
        "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between",
        "binary", "both", "case", "cast", "check", "coalesce", "collate", "collation", "column", "concurrently",
        "constraint", "create", "cross", "current_catalog", "current_date", "current_role", "current_schema",
        "current_time", "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do", "else",
        "end", "except", "exists", "extract", "false", "fetch", "for", "foreign", "freeze", "from", "full", "grant",
        "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout", "intersect", "into",
        "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime", "localtimestamp",
        "natural", "none", "normalize", "not", "notnull", "null", "nullif", "offset", "on", "only", "or", "order",
        "out",
        "outer", "overlaps", "overlay", "placing", "position", "precision", "primary", "references", "returning",
        "right", "row", "select", "session_user", "setof", "similar", "some", "substring", "symmetric", "table",
        "tablesample", "then", "to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using", "values",
        "variadic", "verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement",
        "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
    ]
}

// SPDX-License-Identifier: Apache-2.0

/// Turns a query string into a `ParsedQuery`. Knows the grammar and no schema.
package struct QueryParser {
    /// Parameters of one request; more are refused (PGRST100), because each becomes a term of the statement.
    static let parametersMax = 500
    /// Nesting of embeds, and of `and`/`or`, which bounds the recursion.
    static let depthMax = 32

    private var query = ParsedQuery()
    private let takesArguments: Bool
    private var hasColumns = false
    private var hasOnConflict = false

    private init(takesArguments: Bool) { self.takesArguments = takesArguments }

    /// - Parameter takesArguments: a parameter whose value is no filter is a function's argument (12.1).
    /// - Throws: `RowError` PGRST100 for the first parameter that does not parse, in the order sent.
    package static func parse(_ text: String, takesArguments: Bool = false) throws(RowError) -> ParsedQuery {
        try parse(QueryString(text), takesArguments: takesArguments)
    }

    package static func parse(_ string: QueryString, takesArguments: Bool = false) throws(RowError) -> ParsedQuery {
        guard string.parameters.count <= parametersMax else {
            throw RowError(
                "PGRST100", "The query string has too many parameters", details: "At most \(parametersMax) are allowed")
        }
        var parser = QueryParser(takesArguments: takesArguments)
        for parameter in string.parameters { try parser.read(parameter) }
        return parser.query
    }

    private mutating func read(_ parameter: QueryString.Parameter) throws(RowError) {
        let value = parameter.value
        switch parameter.name {
        case "select":
            guard !query.hasSelect else { return }
            query.hasSelect = true
            let items = try SelectParser.parse(value)
            if !items.isEmpty { query.select = items }
        case "columns":
            guard !hasColumns else { return }
            hasColumns = true
            query.columns = try NameListParser.parse(value, parameter: "columns parameter")
        case "on_conflict":
            guard !hasOnConflict else { return }
            hasOnConflict = true
            query.onConflict = try NameListParser.parse(value, parameter: "on_conflict parameter")
        default:
            try readByLastPart(parameter)
        }
    }

    private mutating func readByLastPart(_ parameter: QueryString.Parameter) throws(RowError) {
        let name = parameter.name
        let lastDot = name.utf8.lastIndex(of: UInt8(ascii: "."))
        let last = lastDot.map { name[name.utf8.index(after: $0)...] } ?? name[...]
        let prefix = lastDot.map { String(name[..<$0]) } ?? ""
        switch last {
        case "order":
            let path = try treePath(prefix)
            query.orders.append(.init(path: path, terms: try OrderParser.parse(parameter.value)))
        case "limit", "offset":
            guard let number = Int64(parameter.value) else { return }
            let path = try treePath(prefix)
            let position = query.windows.firstIndex { $0.path == path } ?? query.windows.endIndex
            if position == query.windows.endIndex { query.windows.append(.init(path: path)) }
            if last == "limit" {
                query.windows[position].limit = number
            } else {
                query.windows[position].offset = max(0, number)
            }
        case "and", "or":
            var path = try treePath(prefix)
            let isNegated = path.last == "not"
            if isNegated { path.removeLast() }
            let node = try LogicParser.parse(last == "and" ? .and : .or, isNegated: isNegated, parameter.value)
            query.conditions.append(.init(path: path, node: node))
        default:
            do {
                let (path, field) = try FilterParser.key(name)
                let node = try FilterParser.condition(on: field, parameter.value)
                query.conditions.append(.init(path: path, node: node))
            } catch {
                guard takesArguments else { throw error }
                query.arguments.append(.init(name: argumentName(name), value: parameter.value))
            }
        }
    }

    /// A name that is quoted as a column's means the same as the bare one.
    private func argumentName(_ name: String) -> String {
        guard let (path, field) = try? FilterParser.key(name), path.isEmpty, field.path.isEmpty else { return name }
        return field.name
    }

    private func treePath(_ prefix: String) throws(RowError) -> [String] {
        prefix.isEmpty ? [] : try FilterParser.path(prefix)
    }
}

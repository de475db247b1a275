// SPDX-License-Identifier: Apache-2.0

/// Expressions and queries between their source, the text the catalogue keeps, and SQLite's SQL.
struct StoredText {
    let names: NameResolver

    /// What a piece of source means on the rows of a relation.
    struct Reading {
        var expression: TypedExpression
        var log: ReferenceLog
        var text: String
    }

    /// Reads an expression about one row of `relation`.
    ///
    /// With a `type` the expression is converted to it, as an assignment does.
    func read(_ node: ParseNode?, on relation: Relation?, as type: ColumnType? = nil) throws -> Reading {
        let analyzer = Analyzer(names: names)
        let scope = relation.map { Scope.row(of: $0, alias: "") } ?? Scope()
        var expression = try analyzer.expression(node, in: scope)
        if let type { expression = try analyzer.coercion.coerce(expression, to: type, .assignment) }
        let text = try Deparser(names: names, log: analyzer.log).expression(node)
        return Reading(expression: expression, log: analyzer.log, text: text)
    }

    /// Reads a condition about one row of `relation`, without subqueries unless `takesSubqueries`.
    func condition(_ node: ParseNode?, on relation: Relation, takesSubqueries: Bool) throws -> Reading {
        guard let node else { throw TranslationFault("a condition is missing", sqlState: "42601") }
        let reading = try read(node, on: relation, as: nil)
        let analyzer = Analyzer(names: names)
        let condition = try analyzer.condition(node, in: Scope.row(of: relation, alias: ""))
        if !takesSubqueries, condition.hasSubquery {
            throw TranslationFault("cannot use subquery in this expression", at: node.location, sqlState: "0A000")
        }
        return Reading(expression: condition, log: analyzer.log, text: reading.text)
    }

    /// A stored expression in SQLite's SQL, for a definition of `relation`: its columns stand bare.
    func definition(_ text: String, of relation: Relation, as type: ColumnType?) throws -> String {
        try Self.withoutPlace {
            let analyzer = Analyzer(names: names)
            var expression = try analyzer.expression(
                try SQLParser.expression(text), in: Scope.row(of: relation, alias: ""))
            if let type { expression = try analyzer.coercion.coerce(expression, to: type, .assignment) }
            return try definition(expression)
        }
    }

    /// An expression whose columns stand bare, for a definition.
    func definition(_ expression: TypedExpression) throws -> String {
        try SQLiteWriter(enums: names.catalog.enums, role: "", place: .definition).sql(expression)
    }

    /// Faults of stored texts: their places are not places of the file that is being read.
    static func withoutPlace<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch var fault as TranslationFault {
            fault.location = nil
            throw fault
        }
    }

    /// Analyses a view's text.
    func query(_ node: ParseNode) throws -> (query: TypedQuery, log: ReferenceLog, text: String) {
        let analyzer = Analyzer(names: names)
        let query = try analyzer.query(node, parent: nil)
        return (query, analyzer.log, try Deparser(names: names, log: analyzer.log).query(node))
    }
}

// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    func createIndex(_ node: ParseNode) throws {
        // CONCURRENTLY is about locks, which one writer does not have (data-semantics 11).
        try node.allow(
            "idxname", "relation", "accessMethod", "indexParams", "whereClause", "unique", "concurrent",
            "if_not_exists",
            "indexIncludingParams", "options")
        var table = try relation(node.bare("relation", as: "RangeVar"), kind: .table)
        var terms: [String] = []
        var labels: [String] = []
        for element in node.list("indexParams") {
            let (term, label) = try indexTerm(element, of: table)
            terms.append(term)
            labels.append(label)
        }
        let isTaken = { (name: String) in self.isRelationName(QualifiedName(table.name.schema, name)) }
        let name: String
        if let written = node.string("idxname") {
            if isTaken(written) {
                if node.flag("if_not_exists") { return }
                throw TranslationFault("relation \"\(written)\" already exists", at: node.location, sqlState: "42P07")
            }
            name = written
        } else {
            name = ConstraintNames.choose(table.name.name, labels.joined(separator: "_"), "idx", isTaken: isTaken)
        }
        var predicate: String?
        if let condition = node.node("whereClause") {
            predicate = try texts.condition(condition, on: table, takesSubqueries: false).text
        }
        let isUnique = node.flag("unique")
        let index = Index(
            name: name, isUnique: isUnique, terms: terms, predicate: predicate,
            method: node.string("accessMethod") ?? "btree")
        table.indexes.append(index)
        catalog.relations[table.name] = table
        if let sql = try TableDefinition(relation: table, texts: texts).create(index) { emit(sql) }
    }

    /// A term's text, and the word by which it enters the index's own name.
    private func indexTerm(_ node: ParseNode, of table: Relation) throws -> (term: String, label: String) {
        try node.allow("name", "expr", "opclass", "ordering", "nulls_ordering", "opclassopts")
        var term: String
        let label: String
        if let name = node.string("name") {
            guard table.column(name) != nil else {
                throw TranslationFault("column \"\(name)\" does not exist", at: node.location, sqlState: "42703")
            }
            term = Deparser.quoted(name)
            label = name
        } else {
            guard let expression = node.node("expr") else {
                throw TranslationFault("an index term is missing", at: node.location, sqlState: "42601")
            }
            let reading = try texts.read(expression, on: table)
            _ = try texts.definition(reading.expression)
            term = reading.text
            let name = Analyzer.outputName(of: expression)
            label = name == "?column?" ? "expr" : name
        }
        if node.string("ordering") == "SORTBY_DESC" { term += " DESC" }
        switch node.string("nulls_ordering") {
        case "SORTBY_NULLS_FIRST": term += " NULLS FIRST"
        case "SORTBY_NULLS_LAST": term += " NULLS LAST"
        default: break
        }
        return (term, label)
    }
}

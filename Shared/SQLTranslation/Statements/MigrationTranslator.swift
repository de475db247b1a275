// SPDX-License-Identifier: Apache-2.0

/// Turns PostgreSQL migrations into steps for SQLite, keeping the catalogue up to date.
///
/// All or nothing per file: when one statement is refused, every refusal of the file is thrown and the catalogue stays
/// as it was. The steps run in one transaction with foreign keys off (data-semantics 2).
package struct MigrationTranslator: Sendable {
    package private(set) var catalog: Catalog

    package init(catalog: Catalog) { self.catalog = catalog }

    /// The steps of one file. Throws every refusal in it, in the order of the text.
    package mutating func translate(_ sql: String, file: String) throws(SQLRefusals) -> [TranslatedStep] {
        let source = SourceText(sql)
        let statements: [ParsedStatement]
        do {
            statements = try SQLParser.statements(of: source)
        } catch {
            throw SQLRefusals([Self.refusal(error, in: source, file: file, from: 0, to: min(source.bytes.count, 200))])
        }
        let translator = StatementTranslator(catalog: catalog)
        var refusals: [SQLRefusal] = []
        var refusedRelations: [String] = []
        for statement in statements {
            do {
                try translator.translate(statement.node)
            } catch let fault as TranslationFault {
                // What only misses a table that was refused above says nothing new.
                if fault.sqlState == "42P01", refusedRelations.contains(where: { fault.reason.contains("\"\($0)\"") }) {
                    continue
                }
                let created =
                    statement.node.bare("relation", as: "RangeVar") ?? statement.node.bare("view", as: "RangeVar")
                if let name = created?.string("relname"), ["CreateStmt", "ViewStmt"].contains(statement.node.kind) {
                    refusedRelations.append(name)
                }
                refusals.append(
                    Self.refusal(fault, in: source, file: file, from: statement.start, to: statement.end))
            } catch {
                let fault = TranslationFault("\(error)")
                refusals.append(
                    Self.refusal(fault, in: source, file: file, from: statement.start, to: statement.end))
            }
        }
        guard refusals.isEmpty else { throw SQLRefusals(refusals) }
        if translator.catalog != catalog {
            catalog = translator.catalog
            catalog.version += 1
        }
        return translator.steps
    }

    private static func refusal(
        _ fault: TranslationFault, in source: SourceText, file: String, from start: Int, to end: Int
    ) -> SQLRefusal {
        let position = source.position(of: fault.location ?? start)
        return SQLRefusal(
            file: file, line: position.line, column: position.column, reason: fault.reason,
            statement: source.excerpt(from: start, to: end), sqlState: fault.sqlState)
    }
}

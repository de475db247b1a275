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
        var missing = MissingRelations()
        let (translator, refusals, _) = Self.run(sql, file: file, on: catalog, &missing)
        guard refusals.isEmpty else { throw SQLRefusals(refusals) }
        take(translator.catalog)
        return translator.steps
    }

    /// What a whole project would be refused for, file by file. Unlike `translate` it goes on with the catalogue that the
    /// other statements leave, so that one refusal does not stand for all that comes after it.
    ///
    /// - Parameter missing: what refused statements would have made, from one file to the next.
    /// - Returns: the refusals, and how many statements the file has.
    package mutating func check(
        _ sql: String, file: String, _ missing: inout MissingRelations
    ) -> (refusals: [SQLRefusal], statements: Int) {
        let (translator, refusals, statements) = Self.run(sql, file: file, on: catalog, &missing)
        take(translator.catalog)
        return (refusals, statements)
    }

    private mutating func take(_ changed: Catalog) {
        guard changed != catalog else { return }
        catalog = changed
        catalog.version += 1
    }

    private static func run(
        _ sql: String, file: String, on catalog: Catalog, _ missing: inout MissingRelations
    ) -> (StatementTranslator, [SQLRefusal], statements: Int) {
        let source = SourceText(sql)
        let translator = StatementTranslator(catalog: catalog)
        let statements: [ParsedStatement]
        do {
            statements = try SQLParser.statements(of: source)
        } catch {
            let refusal = refusal(error, in: source, file: file, from: 0, to: min(source.bytes.count, 200))
            return (translator, [refusal], 1)
        }
        var refusals: [SQLRefusal] = []
        for statement in statements {
            let fault: TranslationFault
            do {
                try translator.translate(statement.node)
                continue
            } catch let known as TranslationFault {
                fault = known
            } catch {
                fault = TranslationFault("\(error)")
            }
            // What only misses a relation that was refused above says nothing new.
            if missing.explains(fault) { continue }
            missing.note(statement.node)
            refusals.append(refusal(fault, in: source, file: file, from: statement.start, to: statement.end))
        }
        return (translator, refusals, statements.count)
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

/// Names of relations that refused statements would have made.
package struct MissingRelations: Sendable {
    private var names: Set<String> = []

    package init() {}

    mutating func note(_ node: ParseNode) {
        guard ["CreateStmt", "ViewStmt"].contains(node.kind) else { return }
        let made = node.bare("relation", as: "RangeVar") ?? node.bare("view", as: "RangeVar")
        if let name = made?.string("relname") { names.insert(name) }
    }

    func explains(_ fault: TranslationFault) -> Bool {
        fault.sqlState == "42P01" && names.contains { fault.reason.contains("\"\($0)\"") }
    }
}

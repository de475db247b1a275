// SPDX-License-Identifier: Apache-2.0

/// SQLite's definition of a table of the catalogue, and of its indexes.
struct TableDefinition {
    let relation: Relation
    let texts: StoredText

    /// `CREATE TABLE`, under the table's own name or another while it is rebuilt.
    ///
    /// No defaults and no foreign-key actions: the host applies both (data-semantics 2 and 4).
    func create(as name: String? = nil) throws -> String {
        var parts = try relation.columns.map(column)
        if let key = relation.primaryKey { parts.append(Self.key("PRIMARY KEY", key)) }
        parts += relation.uniques.map { Self.key("UNIQUE", $0) }
        for check in relation.checks {
            let condition = try texts.definition(check.expression, of: relation, as: .bool)
            parts.append("CONSTRAINT \(SQLiteName.quoted(raw: check.name)) CHECK (\(condition))")
        }
        for key in relation.foreignKeys {
            let target = key.target == relation.name ? relation.name : key.target
            parts.append(
                "CONSTRAINT \(SQLiteName.quoted(raw: key.name)) FOREIGN KEY (\(Self.list(key.columns))) REFERENCES "
                    + "\(SQLiteName.quoted(target)) (\(Self.list(key.targetColumns))) DEFERRABLE INITIALLY DEFERRED")
        }
        let quoted = name.map(SQLiteName.quoted(raw:)) ?? SQLiteName.quoted(relation.name)
        return "CREATE TABLE \(quoted) (\(parts.joined(separator: ", "))) STRICT"
    }

    func column(_ column: Column) throws -> String {
        var text = "\(SQLiteName.quoted(column: column.name)) \(column.type.storageClass)"
        if column.type.base == .numeric, !column.type.isArray, column.type.storedScale == nil {
            text += " COLLATE martlet_numeric"
        }
        if column.notNull { text += " NOT NULL" }
        if let generated = column.generatedExpression {
            text += " GENERATED ALWAYS AS (\(try texts.definition(generated, of: relation, as: column.type))) STORED"
        }
        return text
    }

    private static func key(_ word: String, _ key: KeyConstraint) -> String {
        "CONSTRAINT \(SQLiteName.quoted(raw: key.name)) \(word) (\(list(key.columns)))"
    }

    static func list(_ columns: [String]) -> String {
        columns.map(SQLiteName.quoted(column:)).joined(separator: ", ")
    }

    /// `CREATE INDEX`; nil for a kind of index that SQLite does not have and that changes no result.
    func create(_ index: Index) throws -> String? {
        guard index.method == "btree" || index.isUnique else { return nil }
        var terms: [String] = []
        for term in index.terms {
            let (text, isDescending) = Self.direction(of: term)
            let expression = try texts.definition(text, of: relation, as: nil)
            terms.append(expression + (isDescending ? " DESC" : ""))
        }
        let name = SQLiteName.quoted(QualifiedName(relation.name.schema, index.name))
        var sql =
            "CREATE \(index.isUnique ? "UNIQUE " : "")INDEX \(name) ON \(SQLiteName.quoted(relation.name)) "
            + "(\(terms.joined(separator: ", ")))"
        if let predicate = index.predicate {
            sql += " WHERE \(try texts.definition(predicate, of: relation, as: .bool))"
        }
        return sql
    }

    /// A stored term without its direction. Where NULLs stand is left out: it decides about speed only.
    static func direction(of term: String) -> (text: String, isDescending: Bool) {
        var text = term
        for suffix in [" NULLS FIRST", " NULLS LAST"] where text.hasSuffix(suffix) {
            text = String(text.dropLast(suffix.count))
        }
        guard text.hasSuffix(" DESC") else { return (text, false) }
        return (String(text.dropLast(" DESC".count)), true)
    }
}

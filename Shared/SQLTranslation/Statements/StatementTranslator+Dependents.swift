// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    /// Policies and views that read the column; with nil, that read the relation from elsewhere.
    func dependents(on column: String?, of relation: Relation) throws -> [Dependent] {
        var found: [Dependent] = []
        for other in catalog.relations.values.sorted(by: { $0.name < $1.name }) {
            let table = other.name == relation.name ? relation : other
            for policy in table.policies {
                let logs = try [policy.using, policy.withCheck].compactMap(\.self).map { try log(of: $0, on: table) }
                if logs.contains(where: { Self.reads($0, column, relation.name, isOwn: table.name == relation.name) }) {
                    found.append(.policy(policy.name, on: table.name))
                }
            }
            if let text = table.viewQuery, table.name != relation.name {
                let log = try texts.query(try SQLParser.query(text)).log
                if Self.reads(log, column, relation.name, isOwn: false) { found.append(.view(table.name)) }
            }
        }
        return found
    }

    private static func reads(_ log: ReferenceLog, _ column: String?, _ relation: QualifiedName, isOwn: Bool) -> Bool {
        guard let column else { return !isOwn && log.relations.contains(relation) }
        return log.mentions.contains(ReferenceLog.Mention(relation: relation, column: column))
    }

    func log(of text: String, on relation: Relation) throws -> ReferenceLog {
        try texts.read(try SQLParser.expression(text), on: relation).log
    }

    /// Whether a stored expression of the relation reads its column.
    func mentions(_ text: String, _ column: String, of relation: Relation) throws -> Bool {
        try log(of: text, on: relation).mentions.contains(
            ReferenceLog.Mention(relation: relation.name, column: column))
    }
}

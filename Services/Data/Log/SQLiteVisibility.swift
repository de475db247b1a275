// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

extension SQLiteEngine {
    package func visible(_ question: VisibilityQuestion) async throws -> VisibilityAnswer {
        let schema = snapshot
        return try await database.read(deadline: question.deadline) { session in
            var visibility = SQLiteVisibility(schema: schema, question: question, session: session)
            return VisibilityAnswer(schemaVersion: schema.catalog.version, changes: try visibility.answer())
        }
    }
}

/// Answers one question within one read: the rows are the log's images, everything else (policies, privileges, the
/// tables that policies read) is what stands now, so that a right that was taken away no longer shows anything.
struct SQLiteVisibility {
    private let schema: SQLiteSchema
    private let question: VisibilityQuestion
    private let session: DatabaseSession
    private var standings: [Pair<String>: ReadStanding] = [:]
    private var checks: [Pair<Int>: RowCheck] = [:]

    private struct Pair<Caller: Hashable>: Hashable {
        var relation: QualifiedName
        var caller: Caller
    }

    init(schema: SQLiteSchema, question: VisibilityQuestion, session: DatabaseSession) {
        self.schema = schema
        self.question = question
        self.session = session
    }

    mutating func answer() throws -> [ChangeVisibility] {
        let entries = try LoggedChange.read(question, published: schema.catalog.publication, session)
        var answers: [ChangeVisibility] = []
        for (sequence, entry) in zip(question.sequences, entries) {
            var answer = ChangeVisibility(sequence, claimSets: question.claimSets.count)
            switch entry {
            case .gone: answer.isGone = true
            case .other: break
            case .change(let change): try judge(change, &answer)
            }
            answers.append(answer)
        }
        return answers
    }

    private mutating func judge(_ change: LoggedChange, _ answer: inout ChangeVisibility) throws {
        guard let relation = schema.catalog.relations[change.relation], relation.kind == .table else {
            // The table is gone: nobody's rights to it are known.
            answer.rowSecurity = true
            return
        }
        answer.rowSecurity = relation.rowSecurity
        var image: [SQLValue]??
        for (position, caller) in question.claimSets.enumerated() {
            guard let standing = try standing(caller.role, relation) else { continue }
            let holds =
                switch standing.rule {
                case _ where !change.leavesRow: true
                case .always: true
                case .never: false
                case .owner(let rule):
                    change.record.map { rule.holds($0, subject: caller.subject) } ?? false
                case .policies:
                    try holds(change, of: relation, for: position, &image)
                }
            answer.enter(position, standing, change, holds)
        }
    }

    // MARK: Rights

    /// Nil for a role that requests cannot take.
    private mutating func standing(_ role: String, _ relation: Relation) throws -> ReadStanding? {
        guard SQLiteEngine.requestRoles.contains(role), schema.catalog.roles[role] != nil else { return nil }
        let pair = Pair(relation: relation.name, caller: role)
        if let known = standings[pair] { return known }
        let compiler = AccessCompiler(catalog: schema.catalog, role: role)
        let columns = relation.columns.map(\.name)
        let readable = columns.filter { compiler.allows(.select, on: relation, columns: [$0]) }
        let made = ReadStanding(columns: columns, readable: Set(readable), rule: try rule(role, relation))
        standings[pair] = made
        return made
    }

    private func rule(_ role: String, _ relation: Relation) throws -> ReadStanding.Rule {
        do {
            switch try schema.condition(.select, isCheck: false, on: relation, alias: RowCheck.alias, role: role) {
            case .always: return .always
            case .never: return .never
            case .expression: return ownerRule(role, relation).map { .owner($0) } ?? .policies("")
            }
        } catch let error as DatabaseError where PolicyFault.hides(error) {
            // A policy that the role cannot evaluate, such as one that reads a table without the right to.
            return .never
        }
    }

    private func ownerRule(_ role: String, _ relation: Relation) -> OwnerRule? {
        let policies = relation.policies.filter { policy in
            (policy.command == .all || policy.command == .select)
                && (policy.roles.contains("public") || policy.roles.contains(role))
        }
        guard policies.count == 1, policies[0].isPermissive, let text = policies[0].using else { return nil }
        return OwnerRule(text) { name in
            relation.column(name).flatMap { $0.type.isArray ? nil : $0.type.base.rawValue }
        }
    }

    // MARK: Policies

    private mutating func holds(
        _ change: LoggedChange, of relation: Relation, for position: Int, _ image: inout [SQLValue]??
    ) throws -> Bool {
        let values: [SQLValue]?
        if let known = image {
            values = known
        } else {
            #if MUTANT_LOG_IMAGE_RESELECTED
                values = try stored(change, relation)
            #else
                values = self.image(of: change, relation)
            #endif
            image = .some(values)
        }
        guard let values else { return false }
        do {
            let pair = Pair(relation: relation.name, caller: position)
            if let check = checks[pair] { return try check.holds(values, session) }
            let access = RowAccess(schema: schema, session: question.claimSets[position])
            let check = try RowCheck(readingFrom: relation, access)
            checks[pair] = check
            return try check.holds(values, session)
        } catch let error as DatabaseError where PolicyFault.hides(error) {
            return false
        }
    }

    /// The row after the change in the form on disk. Nil, so that nobody whom policies bind sees it, when the table
    /// has had another column or type since: nothing is known about the row as it would stand now.
    private func image(of change: LoggedChange, _ relation: Relation) -> [SQLValue]? {
        guard let record = change.record else { return nil }
        var image: [SQLValue] = []
        for column in relation.columns {
            guard let member = record[column.name],
                let value = try? ValueForm.parse(member, as: column.type, enums: schema.catalog.enums)
            else { return nil }
            if case .boolean(let truth) = value {
                image.append(.integer(truth ? 1 : 0))
            } else {
                image.append(value)
            }
        }
        return image
    }

    #if MUTANT_LOG_IMAGE_RESELECTED
        private func stored(_ change: LoggedChange, _ relation: Relation) throws -> [SQLValue]? {
            guard let image = image(of: change, relation) else { return nil }
            let names = relation.columns.map { SQLiteName.quoted(column: $0.name) }
            let key = relation.columns.indices.filter { change.key.contains(relation.columns[$0].name) }
            let conditions = key.enumerated().map { "\(names[$1]) = ?\($0 + 1)" }.joined(separator: " AND ")
            return try session.query(
                "SELECT \(names.joined(separator: ", ")) FROM \(SQLiteName.quoted(relation.name)) WHERE \(conditions)",
                key.map { image[$0] }
            ).first?.values
        }
    #endif
}

// SPDX-License-Identifier: Apache-2.0

package import MartletSQL
package import MartletWire

/// The rules of a project, checked against its schema.
package struct RuleBook: Sendable {
    let decider: any RuleDecider
    let observe: @Sendable (RuleObservation, TraceContext) -> Void
    private let rules: [Place: WriteRule]

    private struct Place: Hashable {
        var table: QualifiedName
        var event: RuleEvent
    }

    /// - Throws: `RuleFault` for the first rule that cannot be.
    package init(
        _ definitions: [RuleDefinition], schema: SchemaCache, decider: any RuleDecider,
        observe: @escaping @Sendable (RuleObservation, TraceContext) -> Void = { _, _ in }
    ) throws(RuleFault) {
        self.decider = decider
        self.observe = observe
        var rules: [Place: WriteRule] = [:]
        for definition in definitions {
            let rule = try WriteRule(definition, schema)
            for event in definition.events {
                if let other = rules.updateValue(rule, forKey: Place(table: rule.table, event: event)) {
                    throw RuleFault(
                        rule: definition.name, key: "on",
                        reason: "the rule \(other.name) is asked before the same writes")
                }
            }
        }
        self.rules = rules
    }

    /// Tables that rules are asked about.
    package var tables: Set<QualifiedName> { Set(rules.keys.map(\.table)) }

    func rule(on event: RuleEvent, of table: QualifiedName) -> WriteRule? {
        rules.isEmpty ? nil : rules[Place(table: table, event: event)]
    }
}

/// A rule whose table and reads exist.
struct WriteRule: Sendable {
    let name: String
    let table: QualifiedName
    let function: String
    let deadline: Duration
    let allowsOnError: Bool
    let reads: [RuleRead]

    init(_ definition: RuleDefinition, _ schema: SchemaCache) throws(RuleFault) {
        name = definition.name
        function = definition.function
        deadline = definition.deadline
        allowsOnError = definition.allowsOnError
        table = schema.qualified(definition.table)
        func fault(_ key: String, _ reason: String) -> RuleFault {
            RuleFault(rule: definition.name, key: key, reason: reason)
        }
        guard let relation = schema.exposedRelation(table), relation.kind == .table else {
            throw fault("table", "there is no table \(definition.table)")
        }
        guard !relation.keyFields.isEmpty else {
            throw fault("table", "the table \(definition.table) has no primary key, by which a rule tells rows apart")
        }
        guard definition.reads.count <= RuleLimits.readsMax else {
            throw fault("reads", "at most \(RuleLimits.readsMax) reads are allowed")
        }
        var reads: [RuleRead] = []
        for read in definition.reads {
            do {
                let made = try RuleRead(read, of: relation)
                try made.check(schema)
                reads.append(made)
            } catch let reason as RuleReason {
                throw fault("reads.\(read.name)", reason.text)
            } catch let error as RowError {
                throw fault("reads.\(read.name)", "\(error.message) (\(error.code))")
            } catch {
                throw fault("reads.\(read.name)", "\(error)")
            }
        }
        self.reads = reads
    }
}

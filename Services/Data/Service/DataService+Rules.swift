// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletSQL
import MartletServiceKit
import MartletWire

extension DataService {
    /// Refuses triggers of tables that are not there: nothing would ever reach them.
    func checkTriggers(_ schema: SchemaCache) throws(StartFailure) {
        for trigger in context.settings.tables.triggers {
            let name = QualifiedName(trigger.table.schema, trigger.table.name)
            guard schema.catalog.relations[name]?.kind != .table else { continue }
            throw StartFailure(.configuration, trigger.place.problem("table", "there is no table \(trigger.table)"))
        }
    }

    /// The project's rules, checked against its schema; nil when it has none.
    ///
    /// - Throws: `StartFailure` that names the key of config.toml.
    func rules(_ schema: SchemaCache) throws(StartFailure) -> RuleBook? {
        let entries = context.settings.tables.rules
        guard !entries.isEmpty else { return nil }
        let definitions = entries.map { entry in
            RuleDefinition(
                name: entry.name, table: entry.table.description,
                events: entry.events.compactMap { RuleEvent(rawValue: $0.rawValue) }, function: entry.function,
                deadline: entry.deadline, allowsOnError: entry.onError == .allow,
                reads: entry.reads.map { RuleDefinition.Read(name: $0.name, query: $0.query) })
        }
        let asked = context.metrics.counter("martlet_data_rules_asked_total", "Questions to functions before writes.")
        let changed = context.metrics.counter(
            "martlet_data_rules_changed_total", "Rounds of rules that were lost because rows had changed meanwhile.")
        let failed = context.metrics.counter(
            "martlet_data_rules_failed_total", "Rules that could not be asked, or whose answer could not be used.")
        let logger = context.logger
        do throws(RuleFault) {
            return try RuleBook(definitions, schema: schema, decider: BusDecider(bus: context.bus)) { observation, trace in
                switch observation {
                case .asked: asked.increment()
                case .applied(let rule, let rows):
                    logger.with(trace).info(
                        "A rule was applied.", metadata: ["rule.name": "\(rule)", "rule.rows": "\(rows)"])
                case .refused(let rule, let code):
                    logger.with(trace).info(
                        "A rule refused a write.", metadata: ["rule.name": "\(rule)", "error.code": "\(code)"])
                case .changed: changed.increment()
                case .failed(let rule, let code, let detail):
                    failed.increment()
                    logger.with(trace).warning(
                        "A rule gave no answer.",
                        metadata: [
                            "rule.name": "\(rule)", "error.code": "\(code)", "error.detail": "\(detail)",
                        ])
                }
            }
        } catch {
            let place = entries.first { $0.name == error.rule }?.place
            throw StartFailure(
                .configuration, place?.problem(error.key, error.reason) ?? "\(error.rule): \(error.reason)")
        }
    }
}

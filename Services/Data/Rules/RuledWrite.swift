// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL

/// A write that a function of the project is asked about (D28): look, ask with no transaction open, then look again
/// and write in one transaction. When what the function saw is no longer so, the next round begins.
struct RuledWrite: Sendable {
    let rule: WriteRule
    let event: RuleEvent
    let plan: WritePlan
    let relation: Relation
    let session: RequestSession
    let engine: any RowEngine
    let book: RuleBook
    let finish: @Sendable (RowsResult) throws -> FinishedReply

    /// - Throws: `RowError` `rule_…`, the function's refusal, and what the database refuses.
    func run() async throws -> FinishedReply {
        if case .insert(_, let conflict) = plan.action, conflict != nil {
            throw RowError(
                "rule_upsert_refused", "A table with a rule takes no upserts",
                details: "Whether a row is new is not known before it is written.", status: 400)
        }
        let hasInner = plan.representation?.items.contains { item in
            if case .embed(let embed) = item { embed.isInner } else { false }
        }
        // The answer would not say how many rows were written.
        guard hasInner != true else { throw RowError.notImplemented("Inner embeds of a write that a rule decides") }
        if let key = session.idempotency,
            let earlier = try await engine.recorded(under: key, deadline: session.deadline)
        {
            return earlier
        }
        for round in 1...RuleLimits.roundsMax {
            let sight = try await RuleSight.take(self)
            let answer = try await answer(to: sight)
            if let refusal = answer.refusal {
                book.observe(.refused(rule: rule.name, code: refusal.code), session.trace)
                throw refusal
            }
            do {
                let reply = try await engine.transact(try transaction(sight, answer))
                book.observe(.applied(rule: rule.name, rows: sight.rows.count), session.trace)
                return reply
            } catch is RuleChange {
                book.observe(.changed(rule: rule.name, round: round), session.trace)
            }
        }
        throw RowError(
            "rule_conflict", "The rows that the rule of this table looks at keep changing",
            hint: "Nothing was changed. Send the request again.", status: 409)
    }

    /// What the function read is no longer so.
    private struct RuleChange: Error {}

    // MARK: Question

    private func answer(to sight: RuleSight) async throws -> RuleAnswer {
        // A write that finds no row changes nothing, and there is nothing to decide.
        guard !sight.rows.isEmpty else { return .consent }
        let event = try sight.event(of: self)
        var deadline = ContinuousClock.now + rule.deadline
        if let given = session.deadline { deadline = min(deadline, given) }
        book.observe(.asked(rule: rule.name), session.trace)
        do throws(DecisionFailure) {
            let bytes = try await book.decider.decide(
                rule.function, rule: rule.name, event: event, trace: session.trace, deadline: deadline)
            let answer = try RuleAnswer(bytes, rows: sight.rows.count, engine.schema)
            try check(answer)
            return answer
        } catch {
            let refusal = error.rowError
            book.observe(.failed(rule: rule.name, code: refusal.code, detail: error.detail), session.trace)
            if rule.allowsOnError { return .consent }
            throw refusal
        }
    }

    private func check(_ answer: RuleAnswer) throws(DecisionFailure) {
        for record in answer.records ?? [] {
            for column in record.keys where relation.column(column) == nil {
                throw RuleAnswer.rubbish("the table \(relation.name.name) has no column \(column)")
            }
        }
        if event == .delete, answer.records?.contains(where: { !$0.isEmpty }) ?? false {
            throw RuleAnswer.rubbish("a deleted row takes no values")
        }
    }

    // MARK: Write

    private func transaction(_ sight: RuleSight, _ answer: RuleAnswer) throws -> RowTransaction {
        let writes = sight.writes(of: self, answer.records)
        let service = RuleSight.service(session)
        let steps =
            sight.looks.map(\.step)
            + writes.map { RowTransaction.Step(.write($0), as: session) }
            + answer.statements.map { RowTransaction.Step($0.action, as: service) }
        let looks = sight.looks
        let written = looks.count..<looks.count + writes.count
        let judge = StatementJudge(statements: answer.statements, first: written.upperBound)
        let expected = event == .insert ? nil : sight.rows.count
        let finish = finish
        return RowTransaction(
            steps: steps, idempotency: session.idempotency, deadline: session.deadline,
            judge: { step, result in
                if step < looks.count {
                    #if !MUTANT_RULE_RECHECK_SKIPPED
                        guard result.body == looks[step].seen else { throw RuleChange() }
                    #endif
                    return
                }
                #if !MUTANT_RULE_GUARD_IGNORED
                    try judge.judge(step, result) { _, _, _ in RuleChange() }
                #endif
            },
            finish: { results in
                try judge.checkRows(results)
                let own = Array(results[written])
                // Statements of the rule belong to rows that were written: none may be missing.
                if let expected, own.reduce(0, { $0 + $1.rowCount }) != expected {
                    throw RowError(
                        "rule_rows_hidden", "Some of these rows may be read but not changed",
                        hint: "Nothing was changed. Filter for rows that may be changed.", status: 403)
                }
                return try finish(RowsResult.joined(own))
            })
    }
}

extension RowsResult {
    /// The results of several writes as those of one.
    fileprivate static func joined(_ results: [RowsResult]) -> RowsResult {
        guard results.count != 1 else { return results[0] }
        var joined = RowsResult()
        for result in results {
            joined.rowCount += result.rowCount
            joined.insertedCount += result.insertedCount
            guard !result.body.isEmpty else { continue }
            let rows = result.body.dropFirst().dropLast()
            if joined.body.isEmpty {
                joined.body = [UInt8(ascii: "[")]
            } else if !rows.isEmpty, joined.body.count > 1 {
                joined.body.append(UInt8(ascii: ","))
            }
            joined.body += rows
        }
        if !joined.body.isEmpty { joined.body.append(UInt8(ascii: "]")) }
        return joined
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// What happens to rows, as rules name it.
package enum RuleEvent: String, Sendable, CaseIterable { case insert, update, delete }

/// A rule as the project wrote it (FN-24, D28).
package struct RuleDefinition: Sendable, Equatable {
    /// Requests of `/rest/v1` whose rows the function gets to see.
    package struct Read: Sendable, Equatable {
        package var name: String
        /// `table?query`; `{column}` stands for a value of the record, as a whole operand (`eq.{id}`).
        package var query: String

        package init(name: String, query: String) {
            self.name = name
            self.query = query
        }
    }

    package var name: String
    /// `schema.table`, or a table of `public`.
    package var table: String
    package var events: [RuleEvent]
    package var function: String
    /// How long the function may take.
    package var deadline: Duration
    /// Whether the write goes on when the function cannot be asked or answers rubbish; else it is refused.
    package var allowsOnError: Bool
    package var reads: [Read]

    package init(
        name: String, table: String, events: [RuleEvent], function: String, deadline: Duration = .seconds(1),
        allowsOnError: Bool = false, reads: [Read] = []
    ) {
        self.name = name
        self.table = table
        self.events = events
        self.function = function
        self.deadline = deadline
        self.allowsOnError = allowsOnError
        self.reads = reads
    }
}

/// A rule that cannot be.
package struct RuleFault: Error, Sendable, Equatable {
    package var rule: String
    /// Key of its table in config.toml.
    package var key: String
    package var reason: String
}

/// What happened to a ruled write, for logs and metrics.
package enum RuleObservation: Sendable {
    case asked(rule: String)
    /// What the rule said was done, with the write.
    case applied(rule: String, rows: Int)
    /// The rule said no, under the code.
    case refused(rule: String, code: String)
    /// What the function had seen was no longer so.
    case changed(rule: String, round: Int)
    /// The function could not be asked, or its answer cannot be used. The detail is for operators.
    case failed(rule: String, code: String, detail: String)
}

/// Asks the function of a rule. A protocol so that tests can be the function.
package protocol RuleDecider: Sendable {
    /// The bytes that the function answered with a status of 2xx.
    func decide(
        _ function: String, rule: String, event: [UInt8], trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DecisionFailure) -> [UInt8]
}

/// Why there is no answer.
package struct DecisionFailure: Error, Sendable {
    package enum Kind: Sendable {
        /// It was not reached.
        case unavailable
        /// Its time is over.
        case late
        /// It failed, or answered what is no answer.
        case failed
    }

    package var kind: Kind
    /// For operators.
    package var detail: String

    package init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    /// What the client is told.
    var rowError: RowError {
        switch kind {
        case .unavailable:
            RowError(
                "rule_unavailable", "The rule of this table cannot be asked now", hint: "Nothing was changed.",
                status: 503)
        case .late:
            RowError(
                "rule_late", "The rule of this table did not answer in time", hint: "Nothing was changed.", status: 504)
        case .failed:
            RowError("rule_failed", "The rule of this table has failed", hint: "Nothing was changed.", status: 502)
        }
    }
}

/// Bounds of a ruled write.
enum RuleLimits {
    /// Times that a rule is asked about one write before the write is given up.
    static let roundsMax = 3
    /// Rows that one ruled write may touch, because all of them are in one question.
    static let rowsMax = 100
    static let readsMax = 10
    /// Rows of one read.
    static let readRowsMax = 1_000
    /// A question, and an answer, in bytes.
    static let bytesMax = 1 << 20
    /// Nesting of an answer.
    static let depthMax = 100
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Which of some changes some callers may see, by the changes' numbers in the log (D31).
package struct VisibilityQuestion: Sendable {
    /// Most changes and claim sets of one question: together they are the pairs that one read looks at.
    package static let sequencesMax = 256
    package static let claimSetsMax = 512

    package var stream: String
    package var epoch: Int64
    package var sequences: [Int64]
    /// Who asks: a role and the token's claims.
    package var claimSets: [RequestSession]
    package var deadline: ContinuousClock.Instant?

    package init(
        stream: String, epoch: Int64, sequences: [Int64], claimSets: [RequestSession],
        deadline: ContinuousClock.Instant? = nil
    ) {
        self.stream = stream
        self.epoch = epoch
        self.sequences = sequences
        self.claimSets = claimSets
        self.deadline = deadline
    }
}

package struct VisibilityAnswer: Sendable, Equatable {
    /// Version of the schema that policies and privileges were taken from.
    package var schemaVersion: Int64
    /// In the order of the question's sequences.
    package var changes: [ChangeVisibility]
}

/// Who may see one change.
package struct ChangeVisibility: Sendable, Equatable {
    package var sequence: Int64
    /// The claim sets that may see it.
    package var visible: ClaimBits
    /// The claim sets whose policies let the row through and whose role may not read the key, or not a single column:
    /// they may hear that something changed, not what.
    package var denied: ClaimBits
    /// Columns that a claim set may read, where that is not all of them.
    package var masks: [ColumnMask] = []
    package var rowSecurity = false
    /// The log no longer has it.
    package var isGone = false

    package struct ColumnMask: Sendable, Equatable {
        package var claimSet: Int
        package var columns: [String]
    }

    init(_ sequence: Int64, claimSets: Int) {
        self.sequence = sequence
        visible = ClaimBits(count: claimSets)
        denied = visible
    }

    /// Enters what a role may see; `holds` says whether its policies let the row through.
    mutating func enter(_ claimSet: Int, _ standing: ReadStanding, _ change: LoggedChange, _ holds: Bool) {
        guard holds else { return }
        if !standing.mayRead(change.key) { denied.insert(claimSet) }
        if !standing.readable.isEmpty { visible.insert(claimSet) }
        if let columns = standing.mask { masks.append(ColumnMask(claimSet: claimSet, columns: columns)) }
    }
}

/// One bit for each claim set, the lowest of a byte first.
package struct ClaimBits: Sendable, Equatable {
    package private(set) var bytes: [UInt8]

    package init(count: Int) { bytes = [UInt8](repeating: 0, count: (count + 7) / 8) }

    package mutating func insert(_ position: Int) { bytes[position / 8] |= 1 << UInt8(position % 8) }

    package func contains(_ position: Int) -> Bool {
        bytes.indices.contains(position / 8) && bytes[position / 8] & 1 << UInt8(position % 8) != 0
    }
}

/// What the log says about one changed row.
struct LoggedChange: Sendable {
    var relation: QualifiedName
    /// Columns of the primary key when the row changed.
    var key: [String]
    /// Whether there is a row after the change, which policies are asked about.
    var leavesRow: Bool
    /// The row after the change; nil when there is none, and when its values were too long for the log.
    var record: JSONObject?

    /// Nil for what is no change of a row.
    private init?(type: String, headers: String, body: [UInt8]) {
        switch type {
        case LogEntryType.insert, LogEntryType.update: leavesRow = true
        case LogEntryType.delete, LogEntryType.truncate: leavesRow = false
        default: return nil
        }
        guard let head = try? JSONValue(parsing: headers), let schema = head["schema"]?.stringValue,
            let table = head["table"]?.stringValue
        else { return nil }
        relation = QualifiedName(schema, table)
        let document = try? JSONValue(parsing: body)
        key = document?["key"]?.arrayValue?.compactMap(\.stringValue) ?? []
        // A cut image holds the key alone: nothing can be said about its other columns.
        if leavesRow, head["cut"]?.boolValue != true { record = document?["record"]?.objectValue }
    }

    enum Found {
        case change(LoggedChange)
        /// An entry that tells of no row.
        case other
        case gone
    }

    /// Reads the entries of a question, one result for each sequence. Changes of tables that are not `published` now
    /// are nobody's to see: a trigger alone may have asked for them, or they were taken out.
    static func read(
        _ question: VisibilityQuestion, published: Set<QualifiedName>, _ session: DatabaseSession
    ) throws -> [Found] {
        let entries = try TableLog.entries(
            question.stream, epoch: question.epoch, at: question.sequences, session)
        let bySequence = Dictionary(entries.map { ($0.sequence, $0) }) { first, _ in first }
        return question.sequences.map { sequence in
            guard let entry = bySequence[sequence] else { return .gone }
            let change = LoggedChange(type: entry.type, headers: entry.headers, body: entry.body)
            guard let change, published.contains(change.relation) else { return .other }
            return .change(change)
        }
    }
}

/// What a role may read of a table.
struct ReadStanding: Sendable {
    enum Rule: Sendable {
        /// Every row.
        case always
        /// No row.
        case never
        /// Rows whose column holds the caller's user id.
        case owner(OwnerRule)
        /// Rows that the policies let through, which the database decides. The text is PostgreSQL's.
        case policies(String)
    }

    /// All columns, in the table's order.
    var columns: [String]
    var readable: Set<String>
    var rule: Rule

    init(columns: [String], readable: Set<String>, rule: Rule) {
        self.columns = columns
        self.readable = readable
        #if MUTANT_LOG_POLICY_IGNORED
            self.rule = .always
        #else
            self.rule = rule
        #endif
    }

    func mayRead(_ key: [String]) -> Bool {
        key.isEmpty ? !readable.isEmpty : key.allSatisfy { readable.contains($0) }
    }

    /// The readable columns; nil when these are all.
    var mask: [String]? {
        readable.count < columns.count ? columns.filter { readable.contains($0) } : nil
    }
}

/// Which errors of a policy hide the row from the caller, as a read would be refused, and which say that nobody could
/// decide: then the question fails and is asked again.
enum PolicyFault {
    /// SQLSTATE classes of connections, conflicts, resources, locks, interventions and the system.
    private static let undecidedClasses: Set<String> = ["08", "40", "53", "55", "57", "58"]

    static func hides(_ error: DatabaseError) -> Bool { !undecidedClasses.contains(String(error.sqlState.prefix(2))) }
}

// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// What the statements of a read hang on: everything in its plan but the values that they only bind, and the role.
///
/// Two reads of one schema and of the same shape have the same statements. What a plan holds of the schema itself, such
/// as the types of columns, is not in it: a name stands for the same thing in both.
struct ReadShape: Hashable {
    /// Longer ones, and those with more texts, are not worth keeping: nobody asks the same thing twice with a thousand
    /// terms. With the number of those that are kept it bounds their memory.
    static let bytesMax = 4_096
    static let textsMax = 64

    private var bytes: [UInt8] = []
    /// The texts that filters compare with, in the order in which `ReadPlan.numbered` counts them.
    private(set) var texts: [String] = []

    init(_ plan: ReadPlan, role: String) {
        bytes.reserveCapacity(256)
        add(role)
        add(plan.count == .exact)
        add(plan.rows, isRoot: true)
    }

    /// Whether it is worth keeping.
    var isSmall: Bool { bytes.count <= Self.bytesMax && texts.count <= Self.textsMax }

    /// The shape alone, to be kept.
    var withoutTexts: ReadShape {
        var shape = self
        shape.texts = []
        return shape
    }

    static func == (left: ReadShape, right: ReadShape) -> Bool { left.bytes == right.bytes }

    func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    // MARK: Pieces. Each text has its length in front and each choice its own byte, so that no two plans meet.

    private mutating func add(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    private mutating func add(_ number: Int) {
        withUnsafeBytes(of: Int64(number).littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func add(_ text: String) {
        // Lengths above 254 are rare and take the long form.
        let count = text.utf8.count
        bytes.append(UInt8(clamping: count))
        if count >= 255 { add(count) }
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func add(_ name: QualifiedName) {
        add(name.schema)
        add(name.name)
    }

    private mutating func add(_ rows: RowSet, isRoot: Bool) {
        add(rows.relation)
        add(rows.items.count)
        for item in rows.items { add(item) }
        add(rows.filter != nil)
        if let filter = rows.filter { add(filter) }
        add(rows.order.count)
        for term in rows.order {
            add(term.field)
            add(term.isDescending)
            add(term.nullsFirst)
            add(term.embedItem ?? -1)
        }
        // The root's window is bound anew with each read; those of embeds are few.
        if isRoot {
            add(rows.limit != nil)
            add(rows.offset > 0)
        } else {
            add(rows.limit.map { Int($0) } ?? -1)
            add(Int(rows.offset))
        }
    }

    private mutating func add(_ item: SelectItem) {
        switch item {
        case .column(let column):
            bytes.append(0)
            add(column.key)
            add(column.field)
            add(column.cast != nil)
            if let cast = column.cast { add(cast) }
        case .rowCount(let key):
            bytes.append(1)
            add(key)
        case .embed(let embed):
            bytes.append(2)
            add(embed.key)
            add(embed.relationship)
            add(embed.isInner)
            add(embed.isHidden)
            add(embed.rows, isRoot: false)
        }
    }

    private mutating func add(_ relationship: Relationship) {
        add(relationship.source)
        add(relationship.target)
        add(relationship.isToOne)
        switch relationship.join {
        case .direct(let pairs):
            bytes.append(0)
            add(pairs)
        case .through(let junction, let source, let target):
            bytes.append(1)
            add(junction)
            add(source)
            add(target)
        }
    }

    private mutating func add(_ pairs: [Relationship.ColumnPair]) {
        add(pairs.count)
        for pair in pairs {
            add(pair.left)
            add(pair.right)
        }
    }

    private mutating func add(_ field: FieldReference) {
        add(field.column)
        add(field.path.count)
        for step in field.path {
            add(step.asText)
            switch step.operand {
            case .key(let key):
                bytes.append(0)
                add(key)
            case .index(let index):
                bytes.append(1)
                add(Int(index))
            }
        }
    }

    private mutating func add(_ tree: LogicTree) {
        switch tree {
        case .and(let trees):
            bytes.append(0)
            add(trees.count)
            for tree in trees { add(tree) }
        case .or(let trees):
            bytes.append(1)
            add(trees.count)
            for tree in trees { add(tree) }
        case .not(let tree):
            bytes.append(2)
            add(tree)
        case .hasEmbedded(let item):
            bytes.append(3)
            add(item)
        case .filter(let filter):
            bytes.append(4)
            add(filter.field)
            add(filter.isNegated)
            add(filter.operation)
        }
    }

    private mutating func add(_ operation: FilterOperation) {
        let values = operation.texts
        switch operation {
        case .compare(let comparison, _):
            bytes.append(0)
            add(comparison.rawValue)
        case .like(_, let ignoresCase):
            bytes.append(1)
            add(ignoresCase)
        case .match(_, let ignoresCase):
            bytes.append(2)
            add(ignoresCase)
        case .isIn: bytes.append(3)
        case .isExactly(let value):
            bytes.append(4)
            add(value.rawValue)
        case .isDistinct: bytes.append(5)
        case .compareEach(let comparison, let quantifier, _):
            bytes.append(6)
            add(comparison.rawValue)
            add(quantifier.rawValue)
        case .likeEach(_, let ignoresCase, let quantifier):
            bytes.append(7)
            add(ignoresCase)
            add(quantifier.rawValue)
        case .matchEach(_, let ignoresCase, let quantifier):
            bytes.append(8)
            add(ignoresCase)
            add(quantifier.rawValue)
        }
        add(values.count)
        texts += values
    }
}

extension FilterOperation {
    /// What the field is compared with, in the order written.
    var texts: [String] {
        switch self {
        case .compare(_, let text), .isDistinct(let text): [text]
        case .like(let pattern, _), .match(let pattern, _): [pattern]
        case .isIn(let texts), .compareEach(_, _, let texts): texts
        case .likeEach(let patterns, _, _), .matchEach(let patterns, _, _): patterns
        case .isExactly: []
        }
    }
}

extension ReadPlan {
    /// The same plan, each filter knowing where its texts stand among those of `ReadShape.texts`.
    var numbered: ReadPlan {
        var plan = self
        var next = 0
        plan.rows.number(&next)
        return plan
    }
}

extension RowSet {
    /// In the order of `ReadShape`: the items, then the filter.
    fileprivate mutating func number(_ next: inout Int) {
        for (index, item) in items.enumerated() {
            guard case .embed(var embed) = item else { continue }
            embed.rows.number(&next)
            items[index] = .embed(embed)
        }
        filter = filter?.numbered(&next)
    }
}

extension LogicTree {
    fileprivate func numbered(_ next: inout Int) -> LogicTree {
        switch self {
        case .and(let trees): return .and(trees.map { $0.numbered(&next) })
        case .or(let trees): return .or(trees.map { $0.numbered(&next) })
        case .not(let tree): return .not(tree.numbered(&next))
        case .hasEmbedded: return self
        case .filter(var filter):
            filter.firstText = next
            next += filter.operation.texts.count
            return .filter(filter)
        }
    }
}

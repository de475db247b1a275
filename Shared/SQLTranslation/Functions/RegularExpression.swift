// SPDX-License-Identifier: Apache-2.0

/// PostgreSQL's advanced regular expressions, as far as `RegularExpressionSubset` goes, matched in time linear in the
/// text: a client's pattern cannot hold a thread (a simulation of all states at once, after Thompson).
struct RegularExpression {
    private indirect enum Node {
        case empty
        case set(CharacterSet)
        case start
        case end
        case sequence([Node])
        case choice([Node])
        case `repeat`(Node, min: Int, max: Int?)
    }

    private struct CharacterSet {
        var ranges: [ClosedRange<UInt32>] = []
        var isNegated = false

        func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isNegated }
    }

    private enum Step {
        case set(CharacterSet)
        case start
        case end
        case jump([Int])
        case accept
    }

    private var program: [Step] = []
    private let ignoresCase: Bool

    /// States of one pattern: bounds the work for each character of the text.
    private static let statesMax = 5_000

    /// Whether the pattern matches anywhere in the text. Throws 2201B for a pattern that is not understood.
    static func matches(_ text: String, pattern: String, ignoresCase: Bool) throws -> Bool {
        guard RegularExpressionSubset.contains(pattern) else {
            throw MartletFunctions.error("2201B", "invalid regular expression: this pattern is not supported on SQLite")
        }
        return try RegularExpression(pattern, ignoresCase: ignoresCase).matches(text)
    }

    private init(_ pattern: String, ignoresCase: Bool) throws {
        self.ignoresCase = ignoresCase
        var parser = Parser(scalars: Array(pattern.unicodeScalars))
        try compile(parser.choice())
        program.append(.accept)
    }

    private mutating func compile(_ node: Node) throws {
        guard program.count < Self.statesMax else {
            throw MartletFunctions.error("2201B", "invalid regular expression: too complex")
        }
        switch node {
        case .empty: return
        case .set(let set): program.append(.set(set))
        case .start: program.append(.start)
        case .end: program.append(.end)
        case .sequence(let nodes): for node in nodes { try compile(node) }
        case .choice(let nodes):
            var exits: [Int] = []
            for (index, node) in nodes.enumerated() {
                guard index < nodes.count - 1 else {
                    try compile(node)
                    break
                }
                let fork = program.count
                program.append(.jump([]))
                try compile(node)
                exits.append(program.count)
                program.append(.jump([]))
                program[fork] = .jump([fork + 1, program.count])
            }
            for exit in exits { program[exit] = .jump([program.count]) }
        case .repeat(let node, let low, let high):
            for _ in 0..<low { try compile(node) }
            guard let high else {
                let fork = program.count
                program.append(.jump([]))
                try compile(node)
                program.append(.jump([fork]))
                program[fork] = .jump([fork + 1, program.count])
                return
            }
            var forks: [Int] = []
            for _ in 0..<max(high - low, 0) {
                forks.append(program.count)
                program.append(.jump([]))
                try compile(node)
            }
            for fork in forks { program[fork] = .jump([fork + 1, program.count]) }
        }
    }

    private func matches(_ text: String) -> Bool {
        let scalars = text.unicodeScalars.map(\.value)
        var states: [Int] = []
        var marks = [Int](repeating: -1, count: program.count)
        for position in 0...scalars.count {
            // A match may begin at every position.
            if add(0, to: &states, &marks, position, scalars.count) { return true }
            guard position < scalars.count else { return false }
            var next: [Int] = []
            for state in states {
                guard case .set(let set) = program[state], accepts(set, scalars[position]) else { continue }
                if add(state + 1, to: &next, &marks, position + 1, scalars.count) { return true }
            }
            states = next
        }
        return false
    }

    private func accepts(_ set: CharacterSet, _ scalar: UInt32) -> Bool {
        if !ignoresCase { return set.contains(scalar) }
        guard let value = Unicode.Scalar(scalar) else { return false }
        let lower = CaseMapping.lower(value).value
        let upper = CaseMapping.upper(String(value)).unicodeScalars.first?.value ?? scalar
        if set.isNegated { return set.contains(scalar) && set.contains(lower) && set.contains(upper) }
        return set.contains(scalar) || set.contains(lower) || set.contains(upper)
    }

    /// Follows jumps from a state; true when the pattern is matched. `marks` keeps a state from being added twice.
    private func add(_ first: Int, to states: inout [Int], _ marks: inout [Int], _ position: Int, _ end: Int) -> Bool {
        var stack = [first]
        while let state = stack.popLast() {
            guard marks[state] != position else { continue }
            marks[state] = position
            switch program[state] {
            case .accept: return true
            case .set: states.append(state)
            case .start: if position == 0 { stack.append(state + 1) }
            case .end: if position == end { stack.append(state + 1) }
            case .jump(let targets): stack += targets.reversed()
            }
        }
        return false
    }

    /// Reads a pattern that the subset's check let through.
    private struct Parser {
        let scalars: [Unicode.Scalar]
        var index = 0

        mutating func choice() -> Node {
            var branches = [sequence()]
            while index < scalars.count, scalars[index] == "|" {
                index += 1
                branches.append(sequence())
            }
            return branches.count == 1 ? branches[0] : .choice(branches)
        }

        private mutating func sequence() -> Node {
            var nodes: [Node] = []
            while index < scalars.count, scalars[index] != "|", scalars[index] != ")" { nodes.append(repeated(atom())) }
            return nodes.isEmpty ? .empty : .sequence(nodes)
        }

        private mutating func atom() -> Node {
            let scalar = scalars[index]
            index += 1
            switch scalar {
            case "(":
                let node = choice()
                index += 1
                return node
            case "[": return .set(bracket())
            case ".": return .set(CharacterSet(isNegated: true))
            case "^": return .start
            case "$": return .end
            case "\\":
                index += 1
                return .set(Self.escape(scalars[index - 1]))
            default: return .set(CharacterSet(ranges: [scalar.value...scalar.value]))
            }
        }

        private static let digits: [ClosedRange<UInt32>] = [48...57]
        private static let words: [ClosedRange<UInt32>] = [48...57, 65...90, 95...95, 97...122]
        private static let spaces: [ClosedRange<UInt32>] = [9...13, 32...32]

        private static func escape(_ scalar: Unicode.Scalar) -> CharacterSet {
            switch scalar {
            case "d": CharacterSet(ranges: digits)
            case "w": CharacterSet(ranges: words + [0xAA...0x10_FFFF])
            case "s": CharacterSet(ranges: spaces)
            default: CharacterSet(ranges: [scalar.value...scalar.value])
            }
        }

        private mutating func bracket() -> CharacterSet {
            var set = CharacterSet()
            if scalars[index] == "^" {
                set.isNegated = true
                index += 1
            }
            var isFirst = true
            while index < scalars.count, scalars[index] != "]" || isFirst {
                isFirst = false
                let low = scalars[index].value
                index += 1
                if index + 1 < scalars.count, scalars[index] == "-", scalars[index + 1] != "]" {
                    let high = scalars[index + 1].value
                    set.ranges.append(low <= high ? low...high : high...low)
                    index += 2
                } else {
                    set.ranges.append(low...low)
                }
            }
            index += 1
            return set
        }

        private mutating func repeated(_ node: Node) -> Node {
            guard index < scalars.count else { return node }
            switch scalars[index] {
            case "*":
                index += 1
                return .repeat(node, min: 0, max: nil)
            case "+":
                index += 1
                return .repeat(node, min: 1, max: nil)
            case "?":
                index += 1
                return .repeat(node, min: 0, max: 1)
            case "{":
                var body = ""
                index += 1
                while index < scalars.count, scalars[index] != "}" {
                    body.unicodeScalars.append(scalars[index])
                    index += 1
                }
                index += 1
                let parts = body.split(separator: ",", omittingEmptySubsequences: false)
                let low = Int(parts[0]) ?? 0
                return .repeat(node, min: low, max: parts.count == 1 ? low : Int(parts[1]))
            default: return node
            }
        }
    }
}

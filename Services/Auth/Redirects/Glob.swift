// SPDX-License-Identifier: Apache-2.0

/// A pattern over an address: `*` any run without `.` and `/`, `**` any run, `?` one other than these, `[a-z]`, and
/// `{a,b}` for either.
struct Glob: Sendable {
    private enum Part: Sendable {
        case byte(UInt8)
        case any
        case anything
        case one
        case range([ClosedRange<UInt8>])
    }

    /// Alternatives that one pattern may have.
    private static let alternativesMax = 64
    private let parts: [Part]

    /// One pattern for each of its alternatives.
    static func patterns(_ text: String) -> [Glob] {
        var open = [text]
        var done: [Glob] = []
        while let next = open.popLast(), done.count + open.count < alternativesMax {
            guard let begin = next.firstIndex(of: "{"), let end = next[begin...].firstIndex(of: "}") else {
                done.append(Glob(next))
                continue
            }
            let choices = next[next.index(after: begin)..<end].split(separator: ",", omittingEmptySubsequences: false)
            open += choices.map { next[..<begin] + String($0) + next[next.index(after: end)...] }
        }
        return done
    }

    private init(_ text: String) {
        var parts: [Part] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"):
                if rest.first == byte {
                    rest = rest.dropFirst()
                    parts.append(.anything)
                } else {
                    parts.append(.any)
                }
            case UInt8(ascii: "?"): parts.append(.one)
            case UInt8(ascii: "["):
                guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else {
                    parts.append(.byte(byte))
                    continue
                }
                parts.append(.range(Self.ranges(rest[..<end])))
                rest = rest[end...].dropFirst()
            default: parts.append(.byte(byte))
            }
        }
        self.parts = parts
    }

    private static func ranges(_ text: ArraySlice<UInt8>) -> [ClosedRange<UInt8>] {
        var ranges: [ClosedRange<UInt8>] = []
        var rest = text
        while let low = rest.popFirst() {
            if rest.first == UInt8(ascii: "-"), let high = rest.dropFirst().first, high >= low {
                ranges.append(low...high)
                rest = rest.dropFirst(2)
            } else {
                ranges.append(low...low)
            }
        }
        return ranges
    }

    /// Whether the whole text matches. All positions at once, so that no pattern makes it slow.
    func matches(_ text: Substring) -> Bool {
        var positions = closure([0])
        for byte in text.utf8 {
            var next: Set<Int> = []
            let separates = byte == UInt8(ascii: ".") || byte == UInt8(ascii: "/")
            for position in positions where position < parts.count {
                switch parts[position] {
                case .byte(let expected): if byte == expected { next.insert(position + 1) }
                case .any: if !separates { next.insert(position) }
                case .anything: next.insert(position)
                case .one: if !separates { next.insert(position + 1) }
                case .range(let ranges): if ranges.contains(where: { $0.contains(byte) }) { next.insert(position + 1) }
                }
            }
            positions = closure(next)
            if positions.isEmpty { return false }
        }
        return positions.contains(parts.count)
    }

    /// A run may be empty.
    private func closure(_ positions: Set<Int>) -> Set<Int> {
        var result = positions
        for start in positions {
            var position = start
            while position < parts.count, isRun(parts[position]) {
                position += 1
                result.insert(position)
            }
        }
        return result
    }

    private func isRun(_ part: Part) -> Bool {
        switch part {
        case .any, .anything: true
        default: false
        }
    }
}

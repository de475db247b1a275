// SPDX-License-Identifier: Apache-2.0

/// SQL text with the arithmetic from byte offsets, which the parser speaks, to the line and column a person reads.
struct SourceText: Sendable {
    let bytes: [UInt8]

    init(_ text: String) { bytes = Array(text.utf8) }

    /// Line and column of a byte offset, both from 1; a column counts characters, not bytes.
    func position(of offset: Int) -> (line: Int, column: Int) {
        let end = min(max(offset, 0), bytes.count)
        var line = 1
        var lineStart = 0
        for index in 0..<end where bytes[index] == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        // UTF-8 continuation bytes do not start a character.
        let column = bytes[lineStart..<end].reduce(into: 1) { count, byte in
            if byte & 0xC0 != 0x80 { count += 1 }
        }
        return (line, column)
    }

    /// First byte at or after `offset` that is neither white space, nor comment, nor a stray semicolon.
    func contentStart(from offset: Int) -> Int {
        var index = max(offset, 0)
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"), 0x0B, 0x0C,
                UInt8(ascii: ";"):
                index += 1
            case UInt8(ascii: "-") where next(index) == UInt8(ascii: "-"):
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
            case UInt8(ascii: "/") where next(index) == UInt8(ascii: "*"):
                index = commentEnd(from: index)
            default: return index
            }
        }
        return index
    }

    /// The text between two byte offsets, its white space run together and cut to `lengthMax` characters.
    func excerpt(from start: Int, to end: Int, lengthMax: Int = 120) -> String {
        let start = min(max(start, 0), bytes.count)
        let slice = bytes[start..<min(max(end, start), bytes.count)]
        let words = String(decoding: slice, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        let text = words.joined(separator: " ")
        return text.count <= lengthMax ? text : text.prefix(lengthMax) + "…"
    }

    /// Value of the integer constant whose minus sign stands at `offset`; nil when it is written otherwise.
    func negativeInteger(at offset: Int) -> Int64? {
        var index = offset
        var isNegative = false
        scan: while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "-"): isNegative.toggle()
            case UInt8(ascii: "("), UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): break
            default: break scan
            }
            index += 1
        }
        let start = index
        while index < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) { index += 1 }
        guard start < index, let value = Int64(String(decoding: bytes[start..<index], as: UTF8.self)) else {
            return nil
        }
        return isNegative ? -value : value
    }

    private func next(_ index: Int) -> UInt8? { index + 1 < bytes.count ? bytes[index + 1] : nil }

    /// Comments nest in PostgreSQL.
    private func commentEnd(from start: Int) -> Int {
        var index = start + 2
        var depth = 1
        while index < bytes.count, depth > 0 {
            if bytes[index] == UInt8(ascii: "*"), next(index) == UInt8(ascii: "/") {
                depth -= 1
                index += 2
            } else if bytes[index] == UInt8(ascii: "/"), next(index) == UInt8(ascii: "*") {
                depth += 1
                index += 2
            } else {
                index += 1
            }
        }
        return index
    }
}

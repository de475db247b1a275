// SPDX-License-Identifier: Apache-2.0

/// Reads the tokens of TOML 1.0 (https://toml.io/en/v1.0.0) from bytes.
struct TOMLScanner {
    /// Arrays and inline tables in one another; a bound, since the reader is recursive.
    static let depthMax = 32

    private let bytes: [UInt8]
    private var position = 0
    private(set) var line = 1

    init(_ text: String) { bytes = Array(text.utf8) }

    var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func byte(at offset: Int) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    mutating func advance() {
        if peek == UInt8(ascii: "\n") { line += 1 }
        position += 1
    }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: scalar) else { return false }
        advance()
        return true
    }

    func failure(_ reason: String) -> TOMLError { TOMLError(line: line, reason: reason) }

    /// Skips spaces and comments, and line ends too if `newlines`.
    mutating func skipBlank(newlines: Bool = false) {
        while let byte = peek {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"): advance()
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                guard newlines else { return }
                advance()
            case UInt8(ascii: "#"):
                while let next = peek, next != UInt8(ascii: "\n") { advance() }
            default: return
            }
        }
    }

    mutating func expect(_ scalar: Unicode.Scalar, after what: String) throws(TOMLError) {
        skipBlank()
        guard take(scalar) else { throw failure("expected \(scalar) after \(what)") }
    }

    mutating func expectEndOfLine() throws(TOMLError) {
        skipBlank()
        guard let byte = peek else { return }
        guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") else {
            throw failure("unexpected text after a value")
        }
    }

    /// A bare, quoted or dotted key.
    mutating func readKey() throws(TOMLError) -> [String] {
        var parts: [String] = []
        repeat {
            skipBlank()
            guard let byte = peek else { throw failure("expected a key") }
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                parts.append(try readString(multiline: false))
            } else {
                let start = position
                while let next = peek, Self.isBareKey(next) { advance() }
                guard position > start else { throw failure("expected a key") }
                parts.append(String(decoding: bytes[start..<position], as: UTF8.self))
            }
            skipBlank()
        } while take(".")
        return parts
    }

    private static func isBareKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    mutating func readValue(depth: Int) throws(TOMLError) -> TOMLValue {
        guard depth < Self.depthMax else { throw failure("values are nested too deeply") }
        skipBlank()
        switch peek {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return .string(try readString(multiline: true))
        case UInt8(ascii: "["): return try readArray(depth: depth)
        case UInt8(ascii: "{"): return try readInlineTable(depth: depth)
        case nil: throw failure("expected a value")
        default: return try readWord()
        }
    }

    private mutating func readArray(depth: Int) throws(TOMLError) -> TOMLValue {
        advance()
        var elements: [TOMLValue] = []
        while true {
            skipBlank(newlines: true)
            if take("]") { return .array(elements) }
            elements.append(try readValue(depth: depth + 1))
            skipBlank(newlines: true)
            if take(",") { continue }
            guard take("]") else { throw failure("expected , or ] in an array") }
            return .array(elements)
        }
    }

    private mutating func readInlineTable(depth: Int) throws(TOMLError) -> TOMLValue {
        advance()
        var members: [String: TOMLValue] = [:]
        skipBlank()
        if take("}") { return .table(members) }
        repeat {
            let key = try readKey().joined(separator: ".")
            try expect("=", after: "a key")
            guard members.updateValue(try readValue(depth: depth + 1), forKey: key) == nil else {
                throw failure("\(key) is defined twice")
            }
            skipBlank()
        } while take(",")
        guard take("}") else { throw failure("expected , or } in an inline table") }
        return .table(members)
    }

    private mutating func readWord() throws(TOMLError) -> TOMLValue {
        let start = position
        while let byte = peek, !" \t\r\n,]}#".utf8.contains(byte) { advance() }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        if let value = TOMLWord.value(of: word) { return value }
        throw failure("\(word.prefix(40)) is no value; strings stand in quotes")
    }

    /// Any of the four kinds of string.
    private mutating func readString(multiline: Bool) throws(TOMLError) -> String {
        guard let quote = peek else { throw failure("expected a string") }
        let isLong = multiline && byte(at: 1) == quote && byte(at: 2) == quote
        for _ in 0..<(isLong ? 3 : 1) { advance() }
        if isLong {
            if peek == UInt8(ascii: "\r"), byte(at: 1) == UInt8(ascii: "\n") { advance() }
            _ = take("\n")
        }
        var text: [UInt8] = []
        while let next = peek {
            if next == quote {
                if !isLong {
                    advance()
                    return String(decoding: text, as: UTF8.self)
                }
                if byte(at: 1) == quote, byte(at: 2) == quote {
                    // One or two quotes may stand right before the end.
                    while byte(at: 3) == quote {
                        text.append(quote)
                        advance()
                    }
                    for _ in 0..<3 { advance() }
                    return String(decoding: text, as: UTF8.self)
                }
            } else if next == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                try readEscape(isLong: isLong, into: &text)
                continue
            } else if next == UInt8(ascii: "\n"), !isLong {
                break
            } else if next < 0x20, next != UInt8(ascii: "\t"), !(isLong && (next == 0x0A || next == 0x0D)) {
                throw failure("a string holds a control character")
            }
            text.append(next)
            advance()
        }
        throw failure("a string is not closed")
    }

    private mutating func readEscape(isLong: Bool, into text: inout [UInt8]) throws(TOMLError) {
        advance()
        guard let kind = peek else { throw failure("a string is not closed") }
        advance()
        switch kind {
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): text.append(kind)
        case UInt8(ascii: "u"): try readScalar(digits: 4, into: &text)
        case UInt8(ascii: "U"): try readScalar(digits: 8, into: &text)
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"):
            guard isLong else { throw failure("a string has an unknown escape") }
            while let next = peek, " \t\r\n".utf8.contains(next) { advance() }
        default: throw failure("a string has an unknown escape")
        }
    }

    private mutating func readScalar(digits: Int, into text: inout [UInt8]) throws(TOMLError) {
        guard position + digits <= bytes.count else { throw failure("a string is not closed") }
        let digitsText = String(decoding: bytes[position..<position + digits], as: UTF8.self)
        guard let number = UInt32(digitsText, radix: 16), let scalar = Unicode.Scalar(number) else {
            throw failure("a string has an escape that is no character")
        }
        text.append(contentsOf: Character(scalar).utf8)
        position += digits
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// A part of a received text, by reference.
typealias Slice = ArraySlice<UInt8>

/// Finds the parts of a JSON text as byte ranges, so that what a client sent goes on unchanged: `1.0`, `9007199254740993`
/// and `\u00e9` are no longer what they were once a parser has read them.
enum JSONSlices {
    /// How deep arrays and objects may nest. The scan recurses, so this also bounds its stack.
    static let depthMax = 64

    struct Member {
        /// The key as it was written, with its quotes.
        let rawKey: Slice
        let key: String
        let value: Slice
    }

    /// The document without the blanks around it; nil unless all of it is one valid JSON text in UTF-8.
    static func document(_ bytes: [UInt8]) -> Slice? { document(bytes[...]) }

    static func document(_ bytes: Slice) -> Slice? {
        guard isUTF8(bytes) else { return nil }
        var scanner = JSONScanner(bytes)
        guard let value = scanner.value(depth: 0) else { return nil }
        scanner.skipBlanks()
        return scanner.isAtEnd ? value : nil
    }

    /// The members of an object, in their order; nil if `slice`, a part of a valid document, is none.
    static func members(of slice: Slice) -> [Member]? {
        var scanner = JSONScanner(slice)
        guard scanner.take("{") else { return nil }
        var members: [Member] = []
        scanner.skipBlanks()
        if scanner.take("}") { return members }
        while true {
            scanner.skipBlanks()
            guard let rawKey = scanner.value(depth: 1), let key = string(rawKey) else { return nil }
            scanner.skipBlanks()
            guard scanner.take(":"), let value = scanner.value(depth: 1) else { return nil }
            members.append(Member(rawKey: rawKey, key: key, value: value))
            scanner.skipBlanks()
            if scanner.take("}") { return members }
            guard scanner.take(",") else { return nil }
        }
    }

    /// The elements of an array; nil if `slice`, a part of a valid document, is none.
    static func elements(of slice: Slice) -> [Slice]? {
        var scanner = JSONScanner(slice)
        guard scanner.take("[") else { return nil }
        var elements: [Slice] = []
        scanner.skipBlanks()
        if scanner.take("]") { return elements }
        while true {
            guard let value = scanner.value(depth: 1) else { return nil }
            elements.append(value)
            scanner.skipBlanks()
            if scanner.take("]") { return elements }
            guard scanner.take(",") else { return nil }
        }
    }

    /// The text of a string; nil if `slice` is none.
    static func string(_ slice: Slice) -> String? {
        guard slice.first == UInt8(ascii: "\""), slice.count >= 2 else { return nil }
        let inner = slice.dropFirst().dropLast()
        if !inner.contains(UInt8(ascii: "\\")) { return String(decoding: inner, as: UTF8.self) }
        return (try? JSONValue(parsing: slice))?.stringValue
    }

    static func isNull(_ slice: Slice) -> Bool { slice.elementsEqual("null".utf8) }

    /// `true`, `"true"`, `false` or `"false"`; nil for anything else.
    static func bool(_ slice: Slice) -> Bool? {
        switch String(decoding: slice, as: UTF8.self) {
        case "true", "\"true\"": true
        case "false", "\"false\"": false
        default: nil
        }
    }

    static func isObject(_ slice: Slice) -> Bool { slice.first == UInt8(ascii: "{") }

    /// Whether the bytes are UTF-8.
    static func isUTF8(_ bytes: Slice) -> Bool {
        // Most frames are ASCII: no code point is decoded then.
        if bytes.allSatisfy({ $0 < 0x80 }) { return true }
        return String(validating: bytes, as: UTF8.self) != nil
    }
}

extension Array where Element == JSONSlices.Member {
    /// The member's value. Of members with the same key, the last one counts.
    subscript(_ key: String) -> Slice? { last { $0.key == key }?.value }
}

/// Walks over a JSON text without building anything.
private struct JSONScanner {
    private let bytes: Slice
    private var position: Int

    init(_ bytes: Slice) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var isAtEnd: Bool { position == bytes.endIndex }

    private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

    mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// The next value, after blanks; nil if there is no valid one.
    mutating func value(depth: Int) -> Slice? {
        skipBlanks()
        let start = position
        guard let first = next else { return nil }
        let isValid: Bool
        switch first {
        case UInt8(ascii: "{"): isValid = depth < JSONSlices.depthMax && skipObject(depth: depth)
        case UInt8(ascii: "["): isValid = depth < JSONSlices.depthMax && skipArray(depth: depth)
        case UInt8(ascii: "\""): isValid = skipString()
        case UInt8(ascii: "t"): isValid = skipWord("true")
        case UInt8(ascii: "f"): isValid = skipWord("false")
        case UInt8(ascii: "n"): isValid = skipWord("null")
        default: isValid = skipNumber()
        }
        return isValid ? bytes[start..<position] : nil
    }

    private mutating func skipObject(depth: Int) -> Bool {
        position += 1
        skipBlanks()
        if take("}") { return true }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\""), skipString() else { return false }
            skipBlanks()
            guard take(":"), value(depth: depth + 1) != nil else { return false }
            skipBlanks()
            if take("}") { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func skipArray(depth: Int) -> Bool {
        position += 1
        skipBlanks()
        if take("]") { return true }
        while true {
            guard value(depth: depth + 1) != nil else { return false }
            skipBlanks()
            if take("]") { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func skipString() -> Bool {
        position += 1
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case UInt8(ascii: "\\"):
                guard let escaped = next else { return false }
                position += 1
                switch escaped {
                case UInt8(ascii: "u"):
                    for _ in 0..<4 {
                        guard let digit = next, Self.isHexadecimal(digit) else { return false }
                        position += 1
                    }
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
                    UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                    break
                default: return false
                }
            case 0..<0x20: return false
            default: break
            }
        }
        return false
    }

    private mutating func skipWord(_ word: StaticString) -> Bool {
        let text = word.description.utf8
        guard bytes[position...].starts(with: text) else { return false }
        position += text.count
        return true
    }

    private mutating func skipNumber() -> Bool {
        _ = take("-")
        if !take("0") {
            guard skipDigits() else { return false }
        }
        if take(".") {
            guard skipDigits() else { return false }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            position += 1
            if !take("+") { _ = take("-") }
            guard skipDigits() else { return false }
        }
        return true
    }

    private mutating func skipDigits() -> Bool {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position > start
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}

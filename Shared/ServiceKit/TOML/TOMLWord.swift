// SPDX-License-Identifier: Apache-2.0

/// Values that are written without quotes or brackets.
enum TOMLWord {
    static func value(of word: String) -> TOMLValue? {
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "inf", "+inf": return .float(.infinity)
        case "-inf": return .float(-.infinity)
        case "nan", "+nan", "-nan": return .float(.nan)
        case "": return nil
        default: break
        }
        if isDateOrTime(word) { return .dateTime(word) }
        guard let digits = withoutUnderscores(word) else { return nil }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where digits.hasPrefix(prefix) {
            return Int64(digits.dropFirst(2), radix: radix).map(TOMLValue.integer)
        }
        let unsigned = digits.hasPrefix("-") || digits.hasPrefix("+") ? digits.dropFirst() : digits[...]
        guard let first = unsigned.utf8.first, isDigit(first) else { return nil }
        // 012 is no number of TOML, 0 and 0.5 are.
        let second = unsigned.utf8.dropFirst().first
        if first == UInt8(ascii: "0"), let second, isDigit(second) { return nil }
        if let integer = Int64(digits) { return .integer(integer) }
        guard unsigned.utf8.allSatisfy({ isDigit($0) || ".eE+-".utf8.contains($0) }), !unsigned.hasSuffix(".") else {
            return nil
        }
        return Double(digits).map(TOMLValue.float)
    }

    /// Underscores may stand between digits only.
    private static func withoutUnderscores(_ word: String) -> String? {
        guard word.contains("_") else { return word }
        let bytes = Array(word.utf8)
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "_") {
            guard index > 0, index + 1 < bytes.count, isHexadecimal(bytes[index - 1]), isHexadecimal(bytes[index + 1])
            else { return nil }
        }
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    /// `1979-05-27…` or `07:32:00…`; not checked further, since no setting takes one.
    private static func isDateOrTime(_ word: String) -> Bool {
        let bytes = Array(word.utf8)
        if bytes.count >= 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-") {
            return bytes[..<4].allSatisfy(isDigit)
        }
        return bytes.count >= 8 && bytes[2] == UInt8(ascii: ":") && bytes[5] == UInt8(ascii: ":")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f"))
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The parameters of a URL's query, decoded (rest contract 1.2).
package struct QueryString: Sendable, Equatable {
    package struct Parameter: Sendable, Equatable {
        package var name: String
        package var value: String
    }

    /// In the order sent; a parameter without `=` is not in here.
    package private(set) var parameters: [Parameter] = []

    /// Splits on `&`, then on the first `=`, and decodes both sides by the rules of HTML forms.
    package init(_ text: String) {
        for part in text.utf8.split(separator: UInt8(ascii: "&")) {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else { continue }
            parameters.append(
                Parameter(name: Self.decode(part[..<equals]), value: Self.decode(part[part.index(after: equals)...])))
        }
    }

    private static func decode(_ text: Substring.UTF8View) -> String {
        let isPlain = !text.contains { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }
        return isPlain ? String(Substring(text)) : decode(text, plusIsSpace: true)
    }

    /// Decodes percent sequences; a `%` that starts none stays as it is, and bytes that are not UTF-8 are replaced.
    package static func decode(_ text: some Collection<UInt8>, plusIsSpace: Bool) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var position = text.startIndex
        while position != text.endIndex {
            let byte = text[position]
            position = text.index(after: position)
            if byte == UInt8(ascii: "+"), plusIsSpace {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), let (decoded, next) = hexadecimalPair(in: text, at: position) {
                bytes.append(decoded)
                position = next
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexadecimalPair<Text: Collection<UInt8>>(
        in text: Text, at position: Text.Index
    ) -> (UInt8, Text.Index)? {
        guard position != text.endIndex, let high = digit(text[position]) else { return nil }
        let second = text.index(after: position)
        guard second != text.endIndex, let low = digit(text[second]) else { return nil }
        return (high << 4 | low, text.index(after: second))
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// E-mail addresses and phone numbers, checked and in the one form in which they are stored (AU-173, AU-172).
enum ContactAddress {
    private static let addressBytesMax = 255
    private static let localBytesMax = 64

    /// The stored form of an e-mail address: ASCII letters in lower case, other letters as they are, because `İ`, `ſ`
    /// and the Kelvin sign must not become somebody else's ASCII address.
    ///
    /// - Throws: `validation_failed`.
    static func email(_ text: String) throws(AuthError) -> String {
        guard text.utf8.count <= addressBytesMax else {
            throw .validation("Unable to validate email address: too long")
        }
        let isClean = text.unicodeScalars.allSatisfy { scalar in
            !forbidden.contains(scalar) && !scalar.properties.isWhitespace
                && scalar.properties.generalCategory != .control
        }
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard isClean, parts.count == 2, !parts[0].isEmpty, parts[0].count <= localBytesMax, isDomain(parts[1]) else {
            throw .validation("Unable to validate email address: invalid format")
        }
        return String(String.UnicodeScalarView(text.unicodeScalars.map(lowered)))
    }

    /// The stored form of a phone number: digits only (E.164 without the plus).
    ///
    /// - Throws: `validation_failed`.
    static func phone(_ text: String) throws(AuthError) -> String {
        let digits = text.utf8.filter { $0 != UInt8(ascii: " ") }.drop { $0 == UInt8(ascii: "+") }
        guard (2...15).contains(digits.count), digits.first != UInt8(ascii: "0"),
            digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") })
        else { throw .validation("Invalid phone number format (E.164 required)") }
        return String(decoding: digits, as: UTF8.self)
    }

    private static let forbidden: Set<Unicode.Scalar> = [",", "\"", "'", "<", ">", "(", ")", ";", ":", "\\"]

    /// Labels of ASCII letters, digits and inner hyphens; other scripts come as punycode.
    private static func isDomain(_ text: Substring.UTF8View) -> Bool {
        let labels = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            !label.isEmpty && label.count <= 63 && label.first != UInt8(ascii: "-")
                && label.last != UInt8(ascii: "-")
                && label.allSatisfy { Character(Unicode.Scalar($0)).isASCIIAlphanumeric || $0 == UInt8(ascii: "-") }
        }
    }

    private static func lowered(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        ("A"..."Z").contains(scalar) ? Unicode.Scalar(UInt8(scalar.value) + 32) : scalar
    }
}

extension Character {
    fileprivate var isASCIIAlphanumeric: Bool { isASCII && (isLetter || isNumber) }
}

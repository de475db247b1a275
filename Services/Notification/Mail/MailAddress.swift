// SPDX-License-Identifier: Apache-2.0

/// One address, fit to stand in a header and in an SMTP command: never a list, no display name, no quoting.
struct MailAddress: Sendable, Hashable {
    let text: String

    /// Nil when it is anything else.
    init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard text.utf8.count <= MailLimits.addressBytesMax, parts.count == 2,
            (1...MailLimits.localPartBytesMax).contains(parts[0].count),
            text.unicodeScalars.allSatisfy({ !Self.forbidden.contains($0) && Self.isVisible($0) }),
            Self.isDomain(parts[1])
        else { return nil }
        self.text = text
    }

    var domain: Substring { text[text.index(after: text.lastIndex(of: "@") ?? text.startIndex)...] }

    private static let forbidden: Set<Unicode.Scalar> = [",", "\"", "<", ">", "(", ")", ";", ":", "\\", "[", "]"]

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
            && scalar.properties.generalCategory != .format
    }

    /// Labels of ASCII letters, digits and inner hyphens; other scripts come as punycode.
    private static func isDomain(_ text: Substring.UTF8View) -> Bool {
        let labels = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { byte in
                    byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                }
        }
    }
}

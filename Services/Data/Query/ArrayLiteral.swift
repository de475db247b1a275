// SPDX-License-Identifier: Apache-2.0

/// PostgreSQL's text form of one-dimensional arrays (manual, section 8.15.6).
package enum ArrayLiteral {
    /// The elements of `{a,"b,c"}`; nil when the text is no such literal, nested, or holds a null.
    package static func elements(of text: String) -> [String]? {
        var scanner = TextScanner(text, subject: "array")
        scanner.skipSpaces()
        guard scanner.take("{") else { return nil }
        scanner.skipSpaces()
        var elements: [String] = []
        if !scanner.take("}") {
            repeat {
                scanner.skipSpaces()
                if scanner.next == "\"" {
                    guard let quoted = scanner.takeQuoted() else { return nil }
                    elements.append(quoted)
                } else {
                    guard let element = unquoted(&scanner) else { return nil }
                    elements.append(element)
                }
                scanner.skipSpaces()
            } while scanner.take(",")
            guard scanner.take("}") else { return nil }
        }
        scanner.skipSpaces()
        return scanner.isAtEnd ? elements : nil
    }

    private static func unquoted(_ scanner: inout TextScanner) -> String? {
        var element = String.UnicodeScalarView()
        /// Length up to the last scalar that is no unescaped space: trailing spaces do not count.
        var kept = 0
        while let scalar = scanner.next, scalar != ",", scalar != "}" {
            guard scalar != "{", scalar != "\"" else { return nil }
            scanner.advance()
            if scalar == "\\" {
                guard let escaped = scanner.next else { return nil }
                element.append(escaped)
                scanner.advance()
                kept = element.count
            } else {
                element.append(scalar)
                if scalar != " " { kept = element.count }
            }
        }
        guard kept > 0 else { return nil }
        let text = String(String.UnicodeScalarView(element.prefix(kept)))
        return text.uppercased() == "NULL" ? nil : text
    }

    /// The literal with every element quoted, so that none is read as a null or a number.
    package static func text(of elements: [String]) -> String {
        var text = "{"
        for (position, element) in elements.enumerated() {
            if position > 0 { text += "," }
            text += "\""
            for scalar in element.unicodeScalars {
                if scalar == "\"" || scalar == "\\" { text.unicodeScalars.append("\\") }
                text.unicodeScalars.append(scalar)
            }
            text += "\""
        }
        return text + "}"
    }
}

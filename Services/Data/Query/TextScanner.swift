// SPDX-License-Identifier: Apache-2.0

/// Reads a parameter's text from left to right, for the hand-written parsers of the query grammar.
struct TextScanner {
    /// What is parsed, as error messages name it: `select parameter`, `order`, `filter`, `logic tree`, …
    private let subject: String
    private let text: String
    private let scalars: String.UnicodeScalarView
    private(set) var position: String.Index

    init(_ text: String, subject: String) {
        self.text = text
        self.subject = subject
        scalars = text.unicodeScalars
        position = scalars.startIndex
    }

    var isAtEnd: Bool { position == scalars.endIndex }

    var next: Unicode.Scalar? { isAtEnd ? nil : scalars[position] }

    /// Goes back to a position that was read before.
    mutating func reset(to earlier: String.Index) { position = earlier }

    mutating func advance() { if !isAtEnd { position = scalars.index(after: position) } }

    /// Whether the rest starts with `literal`.
    func isAt(_ literal: String) -> Bool { text[position...].unicodeScalars.starts(with: literal.unicodeScalars) }

    /// Takes `literal` if it is next.
    mutating func take(_ literal: String) -> Bool {
        guard isAt(literal) else { return false }
        position = scalars.index(position, offsetBy: literal.unicodeScalars.count)
        return true
    }

    mutating func expect(_ literal: String) throws(RowError) {
        guard take(literal) else { throw failure(expecting: "\"\(literal)\"") }
    }

    mutating func expectEnd(expecting: String = "end of input") throws(RowError) {
        guard isAtEnd else { throw failure(expecting: expecting) }
    }

    mutating func skipSpaces() { while next == " " { advance() } }

    /// Takes scalars as long as `accepts` says so; may be empty.
    mutating func takeWhile(_ accepts: (Unicode.Scalar) -> Bool) -> Substring {
        let start = position
        while let scalar = next, accepts(scalar) { advance() }
        return text[start..<position]
    }

    mutating func takeRest() -> String {
        defer { position = scalars.endIndex }
        return String(text[position...])
    }

    /// A text in double quotes, `\` escaping any scalar. Nil, and nothing taken, when there is none.
    mutating func takeQuoted() -> String? {
        let start = position
        guard take("\"") else { return nil }
        var value = String.UnicodeScalarView()
        while let scalar = next {
            advance()
            switch scalar {
            case "\"": return String(value)
            case "\\":
                guard let escaped = next else { break }
                value.append(escaped)
                advance()
            default: value.append(scalar)
            }
        }
        reset(to: start)
        return nil
    }

    /// A name: quoted, or letters, digits, `_`, space, `$`, and `-` unless `->` follows (rest contract 1.3).
    mutating func takeName() throws(RowError) -> String {
        if next == "\"" {
            guard let quoted = takeQuoted() else { throw failure(expecting: "a closing quote") }
            return quoted
        }
        let start = position
        while let scalar = next, Self.isIdentifier(scalar) || (scalar == "-" && !isAt("->")) { advance() }
        let name = text[start..<position].trimmed
        guard !name.isEmpty else { throw failure(expecting: "a field name") }
        return String(name)
    }

    static func isIdentifier(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", " ", "$": return true
        default:
            guard !scalar.isASCII else { return false }
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
            // A letter may be written with a combining mark.
            case .nonspacingMark, .spacingMark, .decimalNumber: return true
            default: return false
            }
        }
    }

    /// The steps of a JSON path, none when the text goes on with something else (4).
    mutating func takeJSONPath() throws(RowError) -> [JSONStep] {
        var steps: [JSONStep] = []
        while isAt("->") {
            let asText = take("->>")
            if !asText { _ = take("->") }
            steps.append(JSONStep(try takeOperand(), asText: asText))
        }
        return steps
    }

    private mutating func takeOperand() throws(RowError) -> JSONStep.Operand {
        let start = position
        let negative = take("-")
        let digits = takeWhile { ("0"..."9").contains($0) }
        if !digits.isEmpty, isAtEnd || isAt("->") || isAt("::") || isAt(".") || isAt(",") || isAt(")"),
            let index = Int32((negative ? "-" : "") + digits)
        {
            return .index(index)
        }
        reset(to: start)
        if let quoted = takeQuoted() { return .key(quoted) }
        let key = takeWhile { !Self.endsKey($0) }
        var whole = String(key)
        // Single dashes join the parts of a key; `->` ends it.
        while next == "-", !isAt("->") {
            let dash = position
            advance()
            let part = takeWhile { !Self.endsKey($0) }
            guard !part.isEmpty else {
                reset(to: dash)
                break
            }
            whole += "-" + part
        }
        guard !whole.isEmpty else { throw failure(expecting: "a key or an index") }
        return .key(whole)
    }

    private static func endsKey(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "(", "-", ":", ".", ",", ">", ")": true
        default: false
        }
    }

    /// PGRST100 at the current position.
    func failure(expecting: String) -> RowError {
        let column = scalars.distance(from: scalars.startIndex, to: position) + 1
        let found = next.map { "unexpected \"\($0)\"" } ?? "unexpected end of input"
        return RowError(
            "PGRST100", "\"failed to parse \(subject) (\(text))\" (line 1, column \(column))",
            details: "\(found) expecting \(expecting)")
    }
}

extension Substring {
    /// Without spaces at both ends.
    fileprivate var trimmed: Substring {
        var part = self
        while part.first == " " { part.removeFirst() }
        while part.last == " " { part.removeLast() }
        return part
    }
}

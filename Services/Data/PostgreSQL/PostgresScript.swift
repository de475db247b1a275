// SPDX-License-Identifier: Apache-2.0

/// Splits a migration into its statements, so that an error can name the line and the file stays one transaction.
///
/// The rule: `BEGIN`, `START TRANSACTION`, `COMMIT` and `END` are left out, because the file is one transaction
/// anyway; `CONCURRENTLY` is left out of `CREATE INDEX` and `DROP INDEX`, because it cannot stand in one; everything
/// else goes to the server as it is written.
struct PostgresScript {
    struct Statement: Equatable {
        var sql: String
        /// Line of the first word, from 1.
        var line: Int
        var isExtension = false
    }

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    /// Lower-case words of the statement outside quotes and comments, as far as the rule needs them.
    private var words: [(text: String, start: Int, end: Int)] = []

    private init(_ sql: String) { bytes = Array(sql.utf8) }

    static func statements(of sql: String) -> [Statement] {
        var script = PostgresScript(sql)
        var statements: [Statement] = []
        while let statement = script.next() {
            if let kept = statement.kept { statements.append(kept) }
        }
        return statements
    }

    private mutating func next() -> (kept: Statement?, Void)? {
        skipBlanks()
        guard position < bytes.count else { return nil }
        let start = position
        let firstLine = line
        words = []
        var brackets = 0
        /// Depth inside `BEGIN ATOMIC … END`, where semicolons belong to the body.
        var blocks = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: ";") where brackets <= 0 && blocks <= 0:
                defer { position += 1 }
                return (statement(from: start, to: position, line: firstLine), ())
            case UInt8(ascii: "("): brackets += 1
            case UInt8(ascii: ")"): brackets -= 1
            case let byte where Self.isWord(byte) && byte < 0x80:
                let word = takeWord()
                if word == "atomic", words.dropLast().last?.text == "begin" { blocks += 1 }
                if blocks > 0, word == "case" { blocks += 1 }
                if blocks > 0, word == "end" { blocks -= 1 }
                continue
            default: if skipQuoted() { continue }
            }
            advance()
        }
        return (statement(from: start, to: position, line: firstLine), ())
    }

    private func statement(from start: Int, to end: Int, line: Int) -> Statement? {
        guard let first = words.first else { return start < end ? Statement(sql: text(start, end), line: line) : nil }
        let second = words.dropFirst().first?.text
        switch first.text {
        case "begin", "commit", "end": return nil
        case "start" where second == "transaction": return nil
        case "create" where second == "extension", "alter" where second == "extension",
            "comment" where words.dropFirst(2).first?.text == "extension":
            return Statement(sql: text(start, end), line: line, isExtension: true)
        case "create", "drop":
            let head = words.prefix(4)
            if head.contains(where: { $0.text == "index" }),
                let concurrently = head.first(where: { $0.text == "concurrently" })
            {
                return Statement(sql: text(start, concurrently.start) + text(concurrently.end, end), line: line)
            }
        default: break
        }
        return Statement(sql: text(start, end), line: line)
    }

    private func text(_ start: Int, _ end: Int) -> String { String(decoding: bytes[start..<end], as: UTF8.self) }

    // MARK: Lexing (PostgreSQL manual, section 4.1)

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }

    private mutating func advance() {
        if bytes[position] == UInt8(ascii: "\n") { line += 1 }
        position += 1
    }

    private mutating func advance(to end: Int) { while position < min(end, bytes.count) { advance() } }

    private func isAt(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { return false }
        return text.withUTF8Buffer { bytes[position..<position + count].elementsEqual($0) }
    }

    /// A word; one that turns out to start a dollar quote or an escape string is skipped with it.
    private mutating func takeWord() -> String {
        if isAt("$"), skipQuoted() { return "" }
        let start = position
        while position < bytes.count, Self.isWord(bytes[position]) { advance() }
        let word = text(start, position).lowercased()
        if word == "e", isAt("'") {
            skipString(escapes: true)
            return ""
        }
        if words.count < 8 || word == "begin" || word == "atomic" { words.append((word, start, position)) }
        return word
    }

    private mutating func skipBlanks() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"), UInt8(ascii: ";"):
                advance()
            default: guard isAt("--") || isAt("/*"), skipQuoted() else { return }
            }
        }
    }

    /// Skips a comment, string, quoted name or dollar-quoted string, when one starts here.
    private mutating func skipQuoted() -> Bool {
        switch bytes[position] {
        case UInt8(ascii: "-") where isAt("--"):
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { advance() }
        case UInt8(ascii: "/") where isAt("/*"): skipBlockComment()
        case UInt8(ascii: "'"): skipString(escapes: false)
        case UInt8(ascii: "\""):
            advance()
            while position < bytes.count, bytes[position] != UInt8(ascii: "\"") { advance() }
            advance(to: position + 1)
        case UInt8(ascii: "$"): return skipDollarQuoted()
        default: return false
        }
        return true
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if isAt("/*") {
                depth += 1
                advance(to: position + 2)
            } else if isAt("*/") {
                depth -= 1
                advance(to: position + 2)
            } else {
                advance()
            }
        } while depth > 0 && position < bytes.count
    }

    private mutating func skipString(escapes: Bool) {
        advance()
        while position < bytes.count, bytes[position] != UInt8(ascii: "'") {
            advance(to: position + (escapes && bytes[position] == UInt8(ascii: "\\") ? 2 : 1))
        }
        advance(to: position + 1)
    }

    private mutating func skipDollarQuoted() -> Bool {
        var end = position + 1
        while end < bytes.count, Self.isWord(bytes[end]), bytes[end] != UInt8(ascii: "$") { end += 1 }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "$") else { return false }
        let tag = bytes[position...end]
        if tag.count > 2, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(tag[position + 1]) { return false }
        advance(to: end + 1)
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "$"), bytes[position...].starts(with: tag) {
                advance(to: position + tag.count)
                return true
            }
            advance()
        }
        return true
    }
}

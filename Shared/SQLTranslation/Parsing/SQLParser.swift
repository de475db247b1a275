// SPDX-License-Identifier: Apache-2.0
import CPgQuery
import MartletJSON

/// PostgreSQL's own parser (libpg_query, grammar of version 15).
enum SQLParser {
    /// Nesting of the JSON tree; about a quarter of it is nesting of SQL. Bounds the stack of every walk after it.
    private static let treeDepthMax = 1_000
    /// The longest script that is parsed, in bytes; a larger seed belongs into several files.
    static let scriptBytesMax = 64 << 20

    /// Splits and parses a script.
    ///
    /// Throws `42601` for what PostgreSQL's grammar refuses.
    static func statements(of source: SourceText) throws(TranslationFault) -> [ParsedStatement] {
        guard source.bytes.count <= scriptBytesMax else { throw TranslationFault("the file is larger than 64 MiB") }
        // The parser takes a C string: what follows a NUL would be skipped without a word.
        if let zero = source.bytes.firstIndex(of: 0) {
            throw TranslationFault("the text holds a zero byte", at: zero, sqlState: "42601")
        }
        let tree = try rawTree(of: source)
        let parsed: JSONValue
        do {
            parsed = try JSONValue(parsing: tree, depthMax: treeDepthMax)
        } catch {
            throw TranslationFault("the statement is nested too deeply", sqlState: "54001")
        }
        var statements: [ParsedStatement] = []
        for entry in parsed["stmts"]?.arrayValue ?? [] {
            let offset = Int(entry["stmt_location"]?.int64Value ?? 0)
            let length = Int(entry["stmt_len"]?.int64Value ?? 0)
            let end = length == 0 ? source.bytes.count : offset + length
            let start = source.contentStart(from: offset)
            let repaired = try restoringNegativeIntegers(entry["stmt"] ?? .null, in: source)
            guard let node = ParseNode(repaired) else {
                throw TranslationFault("the parser's answer is not understood", at: start)
            }
            statements.append(ParsedStatement(node: node, start: start, end: end))
        }
        return statements
    }

    /// Parses one expression: PostgreSQL text as the catalogue keeps it.
    static func expression(_ text: String) throws(TranslationFault) -> ParseNode {
        let statements = try statements(of: SourceText("SELECT " + text))
        guard statements.count == 1, let select = statements.first?.node, select.kind == "SelectStmt",
            select.list("targetList").count == 1, let value = select.list("targetList").first?.node("val"),
            !select.has("fromClause"), !select.has("whereClause")
        else { throw TranslationFault("one expression was expected", sqlState: "42601") }
        return value
    }

    /// Parses one query: a view's text as the catalogue keeps it.
    static func query(_ text: String) throws(TranslationFault) -> ParseNode {
        let statements = try statements(of: SourceText(text))
        guard statements.count == 1, let select = statements.first?.node, select.kind == "SelectStmt" else {
            throw TranslationFault("one query was expected", sqlState: "42601")
        }
        return select
    }

    private static func rawTree(of source: SourceText) throws(TranslationFault) -> String {
        let terminated = source.bytes + [0]
        let result = unsafe terminated.withUnsafeBytes { buffer in
            // The buffer ends in a zero, and the result owns copies of whatever it needs.
            guard let text = unsafe buffer.assumingMemoryBound(to: CChar.self).baseAddress else {
                return unsafe PgQueryParseResult()
            }
            return unsafe pg_query_parse(text)
        }
        defer { unsafe pg_query_free_parse_result(result) }
        if let error = unsafe result.error {
            let message = unsafe error.pointee.message.map { unsafe String(cString: $0) } ?? "syntax error"
            // The cursor counts characters from 1, zero when unknown.
            let cursor = unsafe Int(error.pointee.cursorpos)
            throw TranslationFault(
                message, at: cursor > 0 ? byteOffset(ofCharacter: cursor - 1, in: source) : nil, sqlState: "42601")
        }
        guard let tree = unsafe result.parse_tree else { return "{}" }
        return unsafe String(cString: tree)
    }

    private static func byteOffset(ofCharacter index: Int, in source: SourceText) -> Int {
        var characters = 0
        for (offset, byte) in source.bytes.enumerated() where byte & 0xC0 != 0x80 {
            if characters == index { return offset }
            characters += 1
        }
        return source.bytes.count
    }

    /// libpg_query 15-4.0.0 prints an integer only when it is positive, so that `-1` reads as 0: take the value of such
    /// a constant from the text. Its location is the minus sign's.
    private static func restoringNegativeIntegers(
        _ value: JSONValue, in source: SourceText
    ) throws(TranslationFault) -> JSONValue {
        switch value {
        case .array(let elements):
            var restored: [JSONValue] = []
            restored.reserveCapacity(elements.count)
            for element in elements { restored.append(try restoringNegativeIntegers(element, in: source)) }
            return .array(restored)
        case .object(var object):
            if object.count == 1, let constant = object["A_Const"], let integer = constant["ival"]?.objectValue,
                integer.isEmpty
            {
                let location = Int(constant["location"]?.int64Value ?? 0)
                guard let number = source.negativeInteger(at: location) else {
                    throw TranslationFault("write this negative number without a comment in it", at: location)
                }
                var fields = constant.objectValue ?? [:]
                fields["ival"] = .object(["ival": .integer(number)])
                return .object(["A_Const": .object(fields)])
            }
            for member in object.members {
                object[member.key] = try restoringNegativeIntegers(member.value, in: source)
            }
            return .object(object)
        default: return value
        }
    }
}

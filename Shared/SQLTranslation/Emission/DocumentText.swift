// SPDX-License-Identifier: Apache-2.0
import MartletJSON

/// JSON constants in the form that SQLite keeps: json verbatim, jsonb as PostgreSQL prints jsonb.
enum DocumentText {
    /// Nil when the text is no JSON, or holds what jsonb does not take.
    static func canonical(_ text: String, isBinary: Bool) -> String? {
        guard let value = try? JSONValue(parsing: text) else { return nil }
        return isBinary ? printed(value) : text
    }

    /// jsonb's text: members by length of key and then by bytes, a space behind `:` and `,`, exponents written out.
    private static func printed(_ value: JSONValue) -> String? {
        switch value {
        case .number(let text):
            guard !text.contains("e"), !text.contains("E"), let decimal = DecimalText(text) else { return nil }
            return decimal.text(scale: nil)
        case .array(let elements):
            var parts: [String] = []
            for element in elements {
                guard let part = printed(element) else { return nil }
                parts.append(part)
            }
            return "[" + parts.joined(separator: ", ") + "]"
        case .object(let object):
            let members = object.members.sorted { left, right in
                let (first, second) = (Array(left.key.utf8), Array(right.key.utf8))
                return first.count != second.count
                    ? first.count < second.count : first.lexicographicallyPrecedes(second)
            }
            var parts: [String] = []
            for member in members {
                guard let part = printed(member.value) else { return nil }
                parts.append(JSONValue.string(member.key).text + ": " + part)
            }
            return "{" + parts.joined(separator: ", ") + "}"
        case .string(let text) where text.utf8.contains(0): return nil
        default: return value.text
        }
    }

    /// One element of an array as JSON: numbers and booleans bare, text quoted.
    static func element(
        _ form: String, text: String, type: ColumnType, at location: Int?
    ) throws(TranslationFault) -> String {
        switch type.base {
        case .int2, .int4, .int8: return form.filter { $0 != "(" && $0 != ")" }
        case .bool: return form == "1" ? "true" : "false"
        case .text, .varchar, .enumeration: return JSONValue.string(text).text
        case .uuid: return JSONValue.string(text.lowercased()).text
        default: throw TranslationFault("array constants of \(type.display) are not translated", at: location)
        }
    }
}

/// PostgreSQL's array literal of one dimension: `{a,"b c",NULL}`.
enum ArrayText {
    /// The items, nil for NULL; nil when the literal is malformed or has several dimensions.
    static func items(_ text: String) -> [String?]? {
        var characters = Array(text)
        while let last = characters.last, last.isWhitespace { characters.removeLast() }
        while let first = characters.first, first.isWhitespace { characters.removeFirst() }
        guard characters.count >= 2, characters.first == "{", characters.last == "}" else { return nil }
        let body = Array(characters[1..<(characters.count - 1)])
        if body.allSatisfy(\.isWhitespace) { return [] }
        var items: [String?] = []
        var index = 0
        while true {
            while index < body.count, body[index].isWhitespace { index += 1 }
            var item = ""
            var isQuoted = false
            if index < body.count, body[index] == "\"" {
                isQuoted = true
                index += 1
                while index < body.count, body[index] != "\"" {
                    if body[index] == "\\" { index += 1 }
                    guard index < body.count else { return nil }
                    item.append(body[index])
                    index += 1
                }
                guard index < body.count else { return nil }
                index += 1
            } else {
                while index < body.count, body[index] != "," {
                    guard !"{}\"\\".contains(body[index]) else { return nil }
                    item.append(body[index])
                    index += 1
                }
                while let last = item.last, last.isWhitespace { item.removeLast() }
                guard !item.isEmpty else { return nil }
            }
            items.append(!isQuoted && item.lowercased() == "null" ? nil : item)
            while index < body.count, body[index].isWhitespace { index += 1 }
            if index == body.count { return items }
            guard body[index] == "," else { return nil }
            index += 1
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import MartletJSON

/// Arrays between PostgreSQL's literal `{a,"b c",NULL}` and the JSON on disk, which is what `to_json` gives.
enum ArrayForm {
    indirect enum Item {
        case null
        case text(String)
        case list([Item])
    }

    /// Reads a literal; nil when it is malformed. All rows of a dimension have one length.
    static func items(_ text: String) -> [Item]? {
        var reader = Reader(bytes: Array(text.utf8))
        reader.skipBlanks()
        guard let items = reader.list(depth: 0) else { return nil }
        reader.skipBlanks()
        return reader.isAtEnd && isRectangular(items) ? items : nil
    }

    private static func isRectangular(_ items: [Item]) -> Bool {
        let shapes = Set(items.map(shape))
        return shapes.count <= 1
    }

    /// Lengths by dimension; an uneven list has a shape that no other has.
    private static func shape(_ item: Item) -> [Int] {
        guard case .list(let items) = item else { return [] }
        let shapes = Set(items.map(shape))
        return shapes.count > 1 ? [-1] : [items.count] + (shapes.first ?? [])
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0
        /// PostgreSQL's own limit of dimensions.
        static let depthMax = 6

        var isAtEnd: Bool { index == bytes.count }

        mutating func skipBlanks() {
            while index < bytes.count, bytes[index] == 32 || (9...13).contains(bytes[index]) { index += 1 }
        }

        mutating func list(depth: Int) -> [Item]? {
            guard depth < Self.depthMax, index < bytes.count, bytes[index] == UInt8(ascii: "{") else { return nil }
            index += 1
            skipBlanks()
            if index < bytes.count, bytes[index] == UInt8(ascii: "}") {
                index += 1
                return []
            }
            var items: [Item] = []
            while index < bytes.count {
                skipBlanks()
                guard let item = item(depth: depth) else { return nil }
                items.append(item)
                skipBlanks()
                guard index < bytes.count else { return nil }
                index += 1
                switch bytes[index - 1] {
                case UInt8(ascii: ","): continue
                case UInt8(ascii: "}"): return items
                default: return nil
                }
            }
            return nil
        }

        private mutating func item(depth: Int) -> Item? {
            guard index < bytes.count else { return nil }
            if bytes[index] == UInt8(ascii: "{") { return list(depth: depth + 1).map { .list($0) } }
            if bytes[index] == UInt8(ascii: "\"") { return quoted() }
            var text: [UInt8] = []
            var end = 0
            while index < bytes.count, bytes[index] != UInt8(ascii: ","), bytes[index] != UInt8(ascii: "}") {
                var byte = bytes[index]
                if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "\"") { return nil }
                let isEscape = byte == UInt8(ascii: "\\")
                if isEscape {
                    index += 1
                    guard index < bytes.count else { return nil }
                    byte = bytes[index]
                }
                text.append(byte)
                if isEscape || !(byte == 32 || (9...13).contains(byte)) { end = text.count }
                index += 1
            }
            guard end > 0 else { return nil }
            let word = String(decoding: text.prefix(end), as: UTF8.self)
            return word.lowercased() == "null" ? .null : .text(word)
        }

        private mutating func quoted() -> Item? {
            index += 1
            var text: [UInt8] = []
            while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                if bytes[index] == UInt8(ascii: "\\") { index += 1 }
                guard index < bytes.count else { return nil }
                text.append(bytes[index])
                index += 1
            }
            guard index < bytes.count else { return nil }
            index += 1
            return .text(String(decoding: text, as: UTF8.self))
        }
    }

    // MARK: Writing a literal

    /// The literal of a stored array.
    static func literal(_ value: JSONValue, element: ColumnType) -> String {
        guard case .array(let elements) = value else { return "{}" }
        let parts = elements.map { item -> String in
            switch item {
            case .null: return "NULL"
            case .array where element.base != .jsonb && element.base != .json: return literal(item, element: element)
            case .bool(let truth): return truth ? "t" : "f"
            case .number(let text): return text
            case .string(let text):
                return escaped(element.base == .timestamp || element.base == .timestamptz ? spaced(text) : text)
            default: return escaped(DocumentForm.canonical(item) ?? item.text)
            }
        }
        return "{" + parts.joined(separator: ",") + "}"
    }

    /// JSON's moment as text has it: `2026-01-31T12:00:00+00:00` is `2026-01-31 12:00:00+00`.
    private static func spaced(_ text: String) -> String {
        let moment = text.split(separator: "T", maxSplits: 1).joined(separator: " ")
        return moment.hasSuffix("+00:00") ? String(moment.dropLast(3)) : moment
    }

    private static func escaped(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && text.lowercased() != "null"
            && !text.contains { "{}\",\\".contains($0) || $0.isWhitespace }
        guard !isPlain else { return text }
        var result = "\""
        for character in text {
            if character == "\"" || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result + "\""
    }
}

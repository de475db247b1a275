// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import MartletJSON

extension MartletFunctions {
    static let documents: [SQLiteFunction] = [
        strict("martlet_jsonb_get", 2) { arguments in
            member(try document(arguments.text(0)), arguments.values[1])
                .flatMap(DocumentForm.canonical).map { .text($0) } ?? .null
        },
        strict("martlet_json_get", 2) { arguments in
            member(try document(arguments.text(0)), arguments.values[1]).map { .text($0.text) } ?? .null
        },
        strict("martlet_jsonb_text", 2) { arguments in
            member(try document(arguments.text(0)), arguments.values[1]).flatMap { text(of: $0, isBinary: true) }
                ?? .null
        },
        strict("martlet_json_text", 2) { arguments in
            member(try document(arguments.text(0)), arguments.values[1]).flatMap { text(of: $0, isBinary: false) }
                ?? .null
        },
        strict("martlet_jsonb_exists", 2) { arguments in
            let key = arguments.text(1)
            return switch try document(arguments.text(0)) {
            case .object(let object): .boolean(object[key] != nil)
            case .array(let elements): .boolean(elements.contains(.string(key)))
            case .string(let text): .boolean(text == key)
            default: .boolean(false)
            }
        },
        strict("martlet_jsonb_contains", 2) { arguments in
            .boolean(DocumentForm.contains(try document(arguments.text(0)), try document(arguments.text(1))))
        },
        strict("martlet_jsonb_equals", 2) { arguments in
            if arguments.text(0) == arguments.text(1) { return .boolean(true) }
            return .boolean(DocumentForm.areEqual(try document(arguments.text(0)), try document(arguments.text(1))))
        },
        strict("martlet_json_typeof", 1) { arguments in
            switch try document(arguments.text(0)) {
            case .null: .text("null")
            case .bool: .text("boolean")
            case .number: .text("number")
            case .string: .text("string")
            case .array: .text("array")
            case .object: .text("object")
            }
        },
        strict("martlet_json_array_length", 1) { arguments in
            switch try document(arguments.text(0)) {
            case .array(let elements): return .integer(Int64(elements.count))
            case .object: throw error("22023", "cannot get array length of a non-array")
            default: throw error("22023", "cannot get array length of a scalar")
            }
        },
    ]

    /// Nesting that stored documents may have; what was let in is let out.
    private static let depthMax = 512

    static func document(_ text: String) throws -> JSONValue {
        do {
            return try JSONValue(parsing: text, depthMax: depthMax)
        } catch {
            throw MartletFunctions.error("22P02", "invalid input syntax for type json")
        }
    }

    /// `->`: a member by key or an element by position, negative from the end.
    private static func member(_ document: JSONValue, _ key: SQLValue) -> JSONValue? {
        switch (document, key) {
        case (.object(let object), .text(let name)): return object[name]
        case (.array(let elements), .integer(let position)):
            let index = position < 0 ? Int64(elements.count) + position : position
            return index >= 0 && index < elements.count ? elements[Int(index)] : nil
        default: return nil
        }
    }

    /// `->>`: strings without quotes, JSON null as NULL.
    private static func text(of value: JSONValue, isBinary: Bool) -> SQLValue? {
        switch value {
        case .null: nil
        case .string(let text): .text(text)
        default: (isBinary ? DocumentForm.canonical(value) : value.text).map { .text($0) }
        }
    }

    // MARK: Arrays

    static let arrays: [SQLiteFunction] = [
        SQLiteFunction("martlet_array_any", arguments: 2) { values in
            guard case .text(let text) = values[1] else { return .null }
            let elements = ArrayValue(text).flattened
            guard !elements.isEmpty else { return .boolean(false) }
            guard !values[0].isNull else { return .null }
            if elements.contains(where: { ArrayValue.isEqual($0, values[0]) }) { return .boolean(true) }
            return elements.contains(.null) ? .null : .boolean(false)
        },
        // NULLs inside are equal to nothing.
        strict("martlet_array_contains", 2) { arguments in
            let outer = Set(ArrayValue(arguments.text(0)).flattened)
            return .boolean(ArrayValue(arguments.text(1)).flattened.allSatisfy { $0 != .null && outer.contains($0) })
        },
        strict("martlet_array_overlaps", 2) { arguments in
            let first = Set(ArrayValue(arguments.text(0)).flattened)
            return .boolean(ArrayValue(arguments.text(1)).flattened.contains { $0 != .null && first.contains($0) })
        },
        strict("martlet_array_cardinality", 1) { .integer(Int64(ArrayValue($0.text(0)).flattened.count)) },
        strict("martlet_array_length", 2) { arguments in
            var level = JSONValue.array(ArrayValue(arguments.text(0)).elements)
            for _ in 1..<max(arguments.integer(1), 1) { level = level.arrayValue?.first ?? .null }
            guard arguments.integer(1) >= 1, let count = level.arrayValue?.count, count > 0 else { return .null }
            return .integer(Int64(count))
        },
    ]
}

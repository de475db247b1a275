// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import MartletJSON

extension MartletFunctions {
    static let texts: [SQLiteFunction] = [
        strict("martlet_like", 2) { .boolean(try LikePattern.matches($0.text(0), $0.text(1), ignoresCase: false)) },
        strict("martlet_ilike", 2) { .boolean(try LikePattern.matches($0.text(0), $0.text(1), ignoresCase: true)) },
        strict("martlet_regex", 3) { arguments in
            .boolean(
                try RegularExpression.matches(
                    arguments.text(0), pattern: arguments.text(1), ignoresCase: arguments.integer(2) != 0))
        },
        strict("martlet_lower", 1) { .text(CaseMapping.lower($0.text(0))) },
        strict("martlet_upper", 1) { .text(CaseMapping.upper($0.text(0))) },
        strict("martlet_substring_from", 2) { .text(substring($0.text(0), from: $0.integer(1), to: .max)) },
        strict("martlet_substring", 3) { arguments in
            let count = arguments.integer(2)
            guard count >= 0 else { throw error("22011", "negative substring length not allowed") }
            let start = arguments.integer(1)
            return .text(substring(arguments.text(0), from: start, to: start + count))
        },
        strict("martlet_left", 2) { arguments in
            let (text, count) = (arguments.text(0).unicodeScalars, arguments.count(1))
            return .text(String(String.UnicodeScalarView(count >= 0 ? text.prefix(count) : text.dropLast(-count))))
        },
        strict("martlet_right", 2) { arguments in
            let (text, count) = (arguments.text(0).unicodeScalars, arguments.count(1))
            return .text(String(String.UnicodeScalarView(count >= 0 ? text.suffix(count) : text.dropFirst(-count))))
        },
        strict("martlet_split_part", 3) { arguments in
            let position = arguments.integer(2)
            guard position != 0 else { throw error("22023", "field position must not be zero") }
            let parts = split(arguments.text(0), by: arguments.text(1))
            let index = position > 0 ? position - 1 : Int64(parts.count) + position
            return .text(index >= 0 && index < parts.count ? parts[Int(index)] : "")
        },
        SQLiteFunction("martlet_concat", arguments: -1) { values in
            .text(values.filter { !$0.isNull }.map { Arguments(values: [$0]).text(0) }.joined())
        },
        strict("martlet_varchar", 3) { arguments in
            let length = Int(arguments.integer(1))
            let type = ColumnType(
                base: .varchar, precision: length, display: "character varying(\(length))")
            return .text(try bounded(arguments, type, length))
        },
        strict("martlet_bpchar", 3) { arguments in
            let length = Int(arguments.integer(1))
            let type = ColumnType(base: .bpchar, precision: length, display: "character(\(length))")
            return .text(try ValueForm.bounded(try bounded(arguments, type, length), type))
        },
        strict("martlet_enum", 3) { arguments in
            let label = arguments.text(0)
            guard ArrayValue(arguments.text(1)).elements.contains(.string(label)) else {
                throw error("22P02", "invalid input value for enum \(arguments.text(2)): \"\(label)\"")
            }
            return .text(label)
        },
    ]

    /// An explicit cast cuts, any other refuses what is too long.
    private static func bounded(_ arguments: Arguments, _ type: ColumnType, _ length: Int) throws -> String {
        let text = arguments.text(0)
        guard arguments.integer(2) != 0 else { return try ValueForm.bounded(text, type) }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(length)))
    }

    /// Characters `from` up to and without `to`, counted from 1; places before the text count and show nothing.
    private static func substring(_ text: String, from: Int64, to: Int64) -> String {
        let start = max(from, 1)
        guard to > start else { return "" }
        let rest = text.unicodeScalars.dropFirst(Int(clamping: start - 1))
        return String(String.UnicodeScalarView(rest.prefix(Int(clamping: to - start))))
    }

    private static func split(_ text: String, by separator: String) -> [String] {
        let (bytes, mark) = (Array(text.utf8), Array(separator.utf8))
        guard !mark.isEmpty else { return [text] }
        var parts: [String] = []
        var start = 0
        var index = 0
        while index + mark.count <= bytes.count {
            if bytes[index..<(index + mark.count)].elementsEqual(mark) {
                parts.append(String(decoding: bytes[start..<index], as: UTF8.self))
                index += mark.count
                start = index
            } else {
                index += 1
            }
        }
        return parts + [String(decoding: bytes[start...], as: UTF8.self)]
    }
}

// SPDX-License-Identifier: Apache-2.0
package import MartletDatabase
import MartletJSON

extension ValueForm {
    /// Appends a stored value as PostgreSQL's `to_json` writes it.
    package static func appendJSON(_ value: SQLValue, type: ColumnType, to out: inout [UInt8]) {
        switch value {
        case .null: out.append(contentsOf: "null".utf8)
        case .boolean(let truth): out.append(contentsOf: (truth ? "true" : "false").utf8)
        case .integer(let number): appendJSON(number, type: type, to: &out)
        case .real(let number):
            let text = FloatText.text(number, isSingle: type.base == .float4)
            number.isFinite ? out.append(contentsOf: text.utf8) : JSONText.appendString(text, to: &out)
        case .text(let text):
            let isBare = type.isArray || [.numeric, .json, .jsonb].contains(type.base)
            isBare ? out.append(contentsOf: text.utf8) : JSONText.appendString(text, to: &out)
        case .blob(let bytes):
            // The backslash of `\x` is escaped in JSON.
            out.append(contentsOf: "\"\\".utf8)
            ByteaText.append(bytes, to: &out)
            out.append(UInt8(ascii: "\""))
        }
    }

    /// The same for an INTEGER, which needs no enum around it: the hot path of results.
    package static func appendJSON(_ number: Int64, type: ColumnType, to out: inout [UInt8]) {
        switch type.base {
        case .bool where !type.isArray: out.append(contentsOf: (number == 0 ? "false" : "true").utf8)
        case .date, .time, .timestamp, .timestamptz:
            out.append(UInt8(ascii: "\""))
            appendMoment(number, type, asJSON: true, to: &out)
            out.append(UInt8(ascii: "\""))
        case .numeric: out.append(contentsOf: scaled(number, type).utf8)
        default: out.append(contentsOf: String(number).utf8)
        }
    }

    /// A stored value as PostgreSQL's text; nil for NULL.
    package static func text(_ value: SQLValue, type: ColumnType) -> String? {
        switch value {
        case .null: return nil
        case .boolean(let truth): return truth ? "t" : "f"
        case .real(let number): return FloatText.text(number, isSingle: type.base == .float4)
        case .blob(let bytes):
            var out: [UInt8] = []
            ByteaText.append(bytes, to: &out)
            return String(decoding: out, as: UTF8.self)
        case .text(let text):
            guard type.isArray else { return text }
            return ((try? JSONValue(parsing: text)) ?? .null).literal(of: type.element)
        case .integer(let number):
            switch type.base {
            case .bool: return number == 0 ? "f" : "t"
            case .numeric: return scaled(number, type)
            case .date, .time, .timestamp, .timestamptz:
                var out: [UInt8] = []
                appendMoment(number, type, asJSON: false, to: &out)
                return String(decoding: out, as: UTF8.self)
            default: return String(number)
            }
        }
    }

    private static func appendMoment(_ number: Int64, _ type: ColumnType, asJSON: Bool, to out: inout [UInt8]) {
        switch type.base {
        case .date: CivilTime.appendDate(number, to: &out)
        case .time: CivilTime.appendTime(number, to: &out)
        default: CivilTime.appendMoment(number, hasZone: type.base == .timestamptz, asJSON: asJSON, to: &out)
        }
    }

    private static func scaled(_ number: Int64, _ type: ColumnType) -> String {
        guard let scale = type.storedScale, scale > 0 else { return String(number) }
        return Decimal(scaled: number, scale: scale).text
    }
}

extension JSONValue {
    fileprivate func literal(of element: ColumnType) -> String { ArrayForm.literal(self, element: element) }
}

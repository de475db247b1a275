// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import MartletJSON

extension MartletFunctions {
    /// Functions that make JSON; the values come as JSON texts, made by `martlet_to_json`.
    static let builders: [SQLiteFunction] = [
        SQLiteFunction("martlet_to_json", arguments: 2) { values in
            guard case .text(let key) = values[1], let type = ColumnType(castKey: key) else { return .null }
            var out: [UInt8] = []
            ValueForm.appendJSON(values[0], type: type, to: &out)
            return .text(String(decoding: out, as: UTF8.self))
        },
        strict("martlet_json_or_null", 2) { .text($0.text(1)) },
        strict("martlet_jsonb_or_null", 2) { .text(try canonical($0.text(1))) },
        SQLiteFunction("martlet_json_build_array", arguments: -1) {
            .text("[" + parts($0).joined(separator: ", ") + "]")
        },
        SQLiteFunction("martlet_jsonb_build_array", arguments: -1) { values in
            .text(try canonical("[" + parts(values).joined(separator: ",") + "]"))
        },
        SQLiteFunction("martlet_json_build_object", arguments: -1) { values in
            .text("{" + (try members(values, between: " : ").joined(separator: ", ")) + "}")
        },
        SQLiteFunction("martlet_jsonb_build_object", arguments: -1) { values in
            .text(try canonical("{" + (try members(values, between: ":").joined(separator: ",")) + "}"))
        },
    ]

    static func canonical(_ text: String) throws -> String {
        guard let canonical = DocumentForm.canonical(try document(text)) else {
            throw error("22P05", "unsupported Unicode escape sequence")
        }
        return canonical
    }

    private static func parts(_ values: [SQLValue]) -> [String] {
        values.map { $0.isNull ? "null" : Arguments(values: [$0]).text(0) }
    }

    private static func members(_ values: [SQLValue], between mark: String) throws -> [String] {
        var members: [String] = []
        for index in stride(from: 0, to: values.count - 1, by: 2) {
            guard !values[index].isNull else {
                throw error("22023", "argument \(index + 1): key must not be null")
            }
            let key = JSONValue.string(Arguments(values: [values[index]]).text(0)).text
            members.append(key + mark + parts([values[index + 1]])[0])
        }
        return members
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// The order of jsonb values (PostgreSQL's `compareJsonbContainers`): by kind, then by size, then by content.
enum DocumentOrder {
    static let collation = "martlet_jsonb"

    static let sqlite = SQLiteCollation(collation) { left, right in
        guard left != right else { return 0 }
        guard let first = try? JSONValue(parsing: left, depthMax: 512),
            let second = try? JSONValue(parsing: right, depthMax: 512)
        else { return left < right ? -1 : 1 }
        return compare(first, second)
    }

    static func compare(_ left: JSONValue, _ right: JSONValue) -> Int32 {
        switch (left, right) {
        case (.array(let first), .array(let second)):
            if first.count != second.count { return sign(first.count, second.count) }
            for (one, other) in zip(first, second) {
                let result = compare(one, other)
                if result != 0 { return result }
            }
            return 0
        case (.object(let first), .object(let second)):
            if first.count != second.count { return sign(first.count, second.count) }
            for (one, other) in zip(members(first), members(second)) {
                if one.key != other.key { return text(one.key, other.key) }
                let result = compare(one.value, other.value)
                if result != 0 { return result }
            }
            return 0
        case (.number(let first), .number(let second)):
            return MartletFunctions.collations.first { $0.name == "martlet_numeric" }?.compare(first, second) ?? 0
        case (.string(let first), .string(let second)): return text(first, second)
        case (.bool(let first), .bool(let second)): return sign(first ? 1 : 0, second ? 1 : 0)
        default: return sign(rank(left), rank(right))
        }
    }

    private static func rank(_ value: JSONValue) -> Int {
        switch value {
        case .null: 0
        case .string: 1
        case .number: 2
        case .bool: 3
        case .array: 4
        case .object: 5
        }
    }

    /// jsonb keeps members by the length of the key, then by its bytes.
    private static func members(_ object: JSONObject) -> [(key: String, value: JSONValue)] {
        object.members.sorted { left, right in
            let (one, other) = (left.key.utf8.count, right.key.utf8.count)
            return one == other ? text(left.key, right.key) < 0 : one < other
        }
    }

    private static func text(_ left: String, _ right: String) -> Int32 {
        left == right ? 0 : left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
    }

    private static func sign(_ left: Int, _ right: Int) -> Int32 { left == right ? 0 : left < right ? -1 : 1 }
}

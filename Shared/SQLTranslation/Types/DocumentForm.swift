// SPDX-License-Identifier: Apache-2.0
import MartletJSON

/// jsonb's canonical text, which is also its form on disk.
enum DocumentForm {
    /// jsonb as PostgreSQL prints it: members by length of key and then by bytes, a space behind `:` and `,`, exponents
    /// written out. Nil for what jsonb does not take: a zero character, a number beyond all bounds.
    static func canonical(_ value: JSONValue) -> String? {
        var out: [UInt8] = []
        return append(value, to: &out) ? String(decoding: out, as: UTF8.self) : nil
    }

    private static func append(_ value: JSONValue, to out: inout [UInt8]) -> Bool {
        switch value {
        case .number(let text):
            guard let decimal = Decimal(text) else { return false }
            out.append(contentsOf: decimal.text.utf8)
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(contentsOf: ", ".utf8) }
                guard append(element, to: &out) else { return false }
            }
            out.append(UInt8(ascii: "]"))
        case .object(let object):
            let members = object.members.sorted { precedes($0.key.utf8, $1.key.utf8) }
            out.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(contentsOf: ", ".utf8) }
                guard appendString(member.key, to: &out) else { return false }
                out.append(contentsOf: ": ".utf8)
                guard append(member.value, to: &out) else { return false }
            }
            out.append(UInt8(ascii: "}"))
        case .string(let text): return appendString(text, to: &out)
        case .null, .bool: value.write(to: &out)
        }
        return true
    }

    private static func appendString(_ text: String, to out: inout [UInt8]) -> Bool {
        guard !text.utf8.contains(0) else { return false }
        JSONText.appendString(text, to: &out)
        return true
    }

    private static func precedes(_ left: String.UTF8View, _ right: String.UTF8View) -> Bool {
        left.count != right.count ? left.count < right.count : left.lexicographicallyPrecedes(right)
    }

    /// Equality of jsonb: numbers by value.
    static func areEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch (left, right) {
        case (.number(let a), .number(let b)):
            guard let first = Decimal(a), let second = Decimal(b) else { return a == b }
            return Decimal.compare(first, second) == 0
        case (.array(let a), .array(let b)):
            return a.count == b.count && zip(a, b).allSatisfy { areEqual($0, $1) }
        case (.object(let a), .object(let b)):
            return a.count == b.count
                && a.members.allSatisfy { member in b[member.key].map { areEqual(member.value, $0) } ?? false }
        default: return left == right
        }
    }

    /// `@>` of jsonb: `inner`'s structure and values are all in `outer`.
    static func contains(_ outer: JSONValue, _ inner: JSONValue, isTop: Bool = true) -> Bool {
        switch (outer, inner) {
        case (.object(let a), .object(let b)):
            return b.members.allSatisfy { member in
                a[member.key].map { contains($0, member.value, isTop: false) } ?? false
            }
        case (.array(let a), .array(let b)):
            return b.allSatisfy { wanted in a.contains { contains($0, wanted, isTop: false) } }
        // An array may contain a primitive, at the top only.
        case (.array(let a), .string), (.array(let a), .number), (.array(let a), .bool), (.array(let a), .null):
            return isTop && a.contains { areEqual($0, inner) }
        default: return areEqual(outer, inner)
        }
    }
}

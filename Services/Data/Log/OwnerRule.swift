// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletSQL

/// The commonest policy, "the row is the caller's own": it is answered by comparing two texts, without the database,
/// because a change may have to be checked for hundreds of callers.
struct OwnerRule: Sendable, Equatable {
    let column: String

    /// Recognises `column = auth.uid()` in either order, with `(select auth.uid())` and casts that change nothing.
    /// Nil for every other text, also for one that means the same.
    init?(_ policy: String, type: (String) -> String?) {
        guard let tokens = Self.tokens(policy), let middle = tokens.firstIndex(of: "=") else { return nil }
        let sides = [Array(tokens[..<middle]), Array(tokens[(middle + 1)...])]
        for (user, own) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            guard let userCast = Self.cast(of: user, Self.users), let name = own.first, let kind = type(name),
                let ownCast = Self.cast(of: own, [[name]])
            else { continue }
            switch (kind, userCast, ownCast) {
            case ("uuid", "uuid", "uuid"), ("uuid", "uuid", ""), ("uuid", "", "uuid"), ("uuid", "", ""),
                ("uuid", "text", "text"), ("text", "text", ""), ("text", "text", "text"), ("varchar", "text", ""),
                ("varchar", "text", "text"):
                column = name
                return
            default: continue
            }
        }
        return nil
    }

    /// Whether the row is the caller's. A subject in another spelling than the canonical one owns nothing here.
    func holds(_ record: JSONObject, subject: String?) -> Bool {
        guard let subject, case .string(let owner)? = record[column] else { return false }
        let user = subject.lowercased()
        return Self.isCanonical(user) && user.utf8.elementsEqual(owner.utf8)
    }

    private static func isCanonical(_ text: String) -> Bool {
        text.utf8.count == 36
            && text.utf8.enumerated().allSatisfy { position, byte in
                switch position {
                case 8, 13, 18, 23: byte == UInt8(ascii: "-")
                default:
                    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte
                }
            }
    }

    private static let users = [
        ["auth", ".", "uid"], ["select", "auth", ".", "uid"], ["select", "auth", ".", "uid", "as", "uid"],
    ]

    /// The type that one of the forms is cast to, empty without a cast; nil when it is none of them.
    private static func cast(of tokens: [String], _ forms: [[String]]) -> String? {
        for form in forms where tokens.starts(with: form) {
            let rest = tokens.dropFirst(form.count)
            if rest.isEmpty { return "" }
            if rest.count == 2, rest.first == "::", let type = rest.last { return type }
        }
        return nil
    }

    /// Words and signs in lower case without parentheses, which mean nothing in the forms above; nil when there is
    /// anything else in the text, such as a quoted name.
    private static func tokens(_ text: String) -> [String]? {
        var tokens: [String] = []
        var word = ""
        var colons = 0
        for byte in text.utf8 {
            let isWord =
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            if isWord {
                word.append(Character(Unicode.Scalar(byte)))
                continue
            }
            if !word.isEmpty { tokens.append(word.lowercased()) }
            word = ""
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "("),
                UInt8(ascii: ")"):
                break
            case UInt8(ascii: "="), UInt8(ascii: "."): tokens.append(String(Unicode.Scalar(byte)))
            case UInt8(ascii: ":"):
                colons += 1
                if colons.isMultiple(of: 2) { tokens.append("::") }
            default: return nil
            }
        }
        if !word.isEmpty { tokens.append(word.lowercased()) }
        return tokens
    }
}

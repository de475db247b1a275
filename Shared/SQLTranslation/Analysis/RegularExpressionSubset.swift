// SPDX-License-Identifier: Apache-2.0

/// The regular expressions that mean the same to PostgreSQL and to the engine SQLite's functions use.
///
/// Characters, `.`, bracket classes, groups, alternatives, `* + ?` and `{m,n}`, `^` and `$`, and the escapes `\d \w \s`
/// and of punctuation. Back references, look-around, lazy repetition and inline options are outside.
enum RegularExpressionSubset {
    /// Longest pattern, in characters.
    private static let lengthMax = 500

    static func contains(_ pattern: String) -> Bool {
        let characters = Array(pattern)
        guard characters.count <= lengthMax, !pattern.hasPrefix("***") else { return false }
        var index = 0
        var depth = 0
        // Whether something stands before that a repetition may follow.
        var isRepeatable = false
        while index < characters.count {
            let character = characters[index]
            switch character {
            case "\\":
                index += 1
                guard index < characters.count, isEscape(characters[index]) else { return false }
                isRepeatable = true
            case "[":
                guard let end = classEnd(characters, from: index) else { return false }
                index = end
                isRepeatable = true
            case "(":
                guard index + 1 >= characters.count || !"?*+".contains(characters[index + 1]) else { return false }
                depth += 1
                isRepeatable = false
            case ")":
                guard depth > 0 else { return false }
                depth -= 1
                isRepeatable = true
            case "*", "+", "?":
                guard isRepeatable else { return false }
                isRepeatable = false
            case "{":
                guard isRepeatable, let end = boundEnd(characters, from: index) else { return false }
                index = end
                isRepeatable = false
            case "^", "$", "|": isRepeatable = false
            case "}", "]": return false
            default:
                guard character.unicodeScalars.count == 1 else { return false }
                isRepeatable = true
            }
            index += 1
        }
        return depth == 0
    }

    private static func isEscape(_ character: Character) -> Bool {
        "dws".contains(character) || (character.isASCII && (character.isPunctuation || character.isSymbol))
    }

    /// Index of the closing bracket of a class without equivalence classes and escapes.
    private static func classEnd(_ characters: [Character], from start: Int) -> Int? {
        var index = start + 1
        if index < characters.count, characters[index] == "^" { index += 1 }
        var isFirst = true
        while index < characters.count {
            switch characters[index] {
            case "]" where !isFirst: return index
            case "]", "\\", "[": return nil
            default: break
            }
            isFirst = false
            index += 1
        }
        return nil
    }

    /// Index of the closing brace of `{m}`, `{m,}` or `{m,n}` with bounds up to 255.
    private static func boundEnd(_ characters: [Character], from start: Int) -> Int? {
        guard let end = characters[start...].firstIndex(of: "}") else { return nil }
        let parts = String(characters[(start + 1)..<end]).split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= 2, let low = Int(parts[0]), low <= 255 else { return nil }
        guard parts.count == 2, !parts[1].isEmpty else { return end }
        guard let high = Int(parts[1]), high <= 255, high >= low else { return nil }
        return end
    }
}

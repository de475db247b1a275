// SPDX-License-Identifier: Apache-2.0

/// LIKE: `%` any characters, `_` one, `\` takes the next literally.
enum LikePattern {
    static func matches(_ text: String, _ pattern: String, ignoresCase: Bool) throws -> Bool {
        var subject = Array(text.unicodeScalars)
        var wanted = Array(pattern.unicodeScalars)
        if ignoresCase {
            subject = subject.map { CaseMapping.lower($0) }
            wanted = wanted.map { CaseMapping.lower($0) }
        }
        var (s, p) = (0, 0)
        // Where to go on when the characters behind the last `%` do not fit.
        var resume: (s: Int, p: Int)?
        while s < subject.count || p < wanted.count {
            if p < wanted.count {
                switch wanted[p] {
                case "%":
                    p += 1
                    resume = (s, p)
                    continue
                case "_" where s < subject.count:
                    (s, p) = (s + 1, p + 1)
                    continue
                case "\\":
                    guard p + 1 < wanted.count else {
                        throw MartletFunctions.error("22025", "LIKE pattern must not end with escape character")
                    }
                    if s < subject.count, wanted[p + 1] == subject[s] {
                        (s, p) = (s + 1, p + 2)
                        continue
                    }
                case let scalar where s < subject.count && scalar == subject[s] && scalar != "_":
                    (s, p) = (s + 1, p + 1)
                    continue
                default: break
                }
            }
            guard let last = resume, last.s < subject.count else { return false }
            resume = (last.s + 1, last.p)
            (s, p) = (last.s + 1, last.p)
        }
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit
import Testing

@Suite("TOML")
struct TOMLTests {
    @Test("Values of every type are read")
    func values() throws {
        let document = try TOMLDocument(
            parsing: """
                # comment
                a = 1 # comment
                b.c = "x\\u00e9\\n\\"#"
                'd e' = 'raw\\n'
                f = [1, 2, # two
                  3,
                ]
                g = { h = true, i.j = 1_000 }
                [k.l]
                m = 0x1F
                n = 1.5e3
                o = 2026-01-02T03:04:05Z
                p = \"""
                long \\
                   text""\"
                [[q]]
                r = 1
                [[q]]
                r = 2
                [q.s]
                t = 3
                """)
        let expected: [(String, TOMLValue)] = [
            ("a", .integer(1)), ("b.c", .string("xé\n\"#")), ("d e", .string("raw\\n")),
            ("f", .array([.integer(1), .integer(2), .integer(3)])), ("g.h", .boolean(true)), ("g.i.j", .integer(1_000)),
            ("k.l.m", .integer(31)), ("k.l.n", .float(1_500)), ("k.l.o", .dateTime("2026-01-02T03:04:05Z")),
            ("k.l.p", .string("long text")), ("q.0.r", .integer(1)), ("q.1.r", .integer(2)), ("q.1.s.t", .integer(3)),
        ]
        #expect(document.entries.map(\.path) == expected.map(\.0))
        for (path, value) in expected { #expect(document[path]?.value == value, "\(path)") }
        #expect(document["a"]?.line == 2)
        #expect(document["k.l.m"]?.line == 10)
    }

    @Test(
        "What is not TOML is refused with its line",
        arguments: [
            "a", "a =", "a = b", "a = 1 2", "a = 01", "a = 'x", "a = \"\\q\"", "a = [1", "a = {b = 1", "[a", "= 1",
            "a = 1\na = 2", "a = 1_", "a = \"\\uD800\"", "a = 1\n[a]", "[a]\n[a]",
            "a = 1\na.b = 2",
        ])
    func refused(text: String) throws {
        let error = try #require(throws: TOMLError.self) { try TOMLDocument(parsing: text) }
        #expect(error.line >= 1 && error.line <= 2)
        #expect(!error.reason.isEmpty)
    }

    @Test("Deep nesting is refused, not followed")
    func deep() {
        #expect(throws: TOMLError.self) {
            try TOMLDocument(parsing: "a = " + String(repeating: "[", count: 100_000))
        }
    }

    @Test("No text brings the reader down")
    func robust() {
        var generator = SplitMix(state: 7)
        let alphabet = Array("ab=.[]{}\"'\\#\n ,1_-:tTuU0x".unicodeScalars)
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<24, using: &generator) {
                text.unicodeScalars.append(alphabet[Int.random(in: 0..<alphabet.count, using: &generator)])
            }
            _ = try? TOMLDocument(parsing: text)
        }
    }
}

/// Random numbers that are the same in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

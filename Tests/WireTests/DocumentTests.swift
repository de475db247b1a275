// SPDX-License-Identifier: Apache-2.0

import MartletWire
import NIOCore
import Testing

/// The tables of docs/protocol.md and docs/errors.md are the code's.
@Suite("Wire documents")
struct DocumentTests {
    @Test("docs/protocol.md lists every method as the registry has it")
    func methods() throws {
        let rows = try table(of: "docs/protocol.md", under: "## Methods")
        let expected = MethodRegistry.all.map { method in
            [
                "\(method.id)", method.name, "\(method.repeatability)", "\(method.priority)",
                "\(method.defaultBudgetMilliseconds) ms",
                method.callers.map(\.rawValue).sorted().joined(separator: ", "),
                "\(method.route)",
            ]
        }
        #expect(rows == expected)
    }

    @Test("docs/protocol.md lists every kind with its number")
    func kinds() throws {
        let rows = try table(of: "docs/protocol.md", under: "## Kinds").map { Array($0.prefix(2)) }
        #expect(rows == FrameKind.allCases.map { ["\($0.rawValue)", "\($0)"] })
    }

    @Test("docs/errors.md lists every bus code with its number, and no other")
    func errors() throws {
        let rows = try table(of: "docs/errors.md", under: "## Bus").map { Array($0.prefix(2)) }
        let codes = (UInt16(0)..<1_000).map(ErrorCode.init(rawValue:)).filter { $0.name != "unknown" }
        #expect(rows == codes.map { ["\($0.rawValue)", $0.name] })
    }

    /// The cells of the first table after a heading, without its head.
    private func table(of path: String, under heading: String) throws -> [[String]] {
        let text = try Files.read("\(Files.root)/\(path)")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0 == heading })
        let rows = lines[start...].drop { !$0.hasPrefix("|") }.prefix { $0.hasPrefix("|") }.dropFirst(2)
        return rows.map { row in
            row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map { cell in
                String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        }
    }
}

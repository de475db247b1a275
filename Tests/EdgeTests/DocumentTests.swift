// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletWire
import Testing

@testable import MartletEdge

/// `docs/errors.md` and the edge's own errors say the same.
@Suite("Edge: documents")
struct DocumentTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test("Every code that the edge answers stands in the table with its status, and no other")
    func codes() throws {
        let source = try String(
            contentsOf: Self.root.appendingPathComponent("Services/Edge/Routing/EdgeError.swift"), encoding: .utf8)
        let written = source.matches(of: /status: ([0-9]{3}), code: "([a-z_]+)"/).map { "\($0.2) \($0.1)" }
        let text = try String(contentsOf: Self.root.appendingPathComponent("docs/errors.md"), encoding: .utf8)
        let section = try #require(text.split(separator: "\n## Edge\n").last?.split(separator: "\n## ").first)
        let documented = section.matches(of: /(?m)^\| ([a-z_]+) \| ([0-9]{3}) \|/).map { "\($0.1) \($0.2)" }
        #expect(documented.count > 10)
        #expect(Set(written) == Set(documented))
    }

    @Test("Every outcome of the bus becomes a status that client libraries take for what it is")
    func outcomes() {
        for number in UInt16(1)...13 {
            let error = EdgeError(ErrorCode(rawValue: number), retryAfterMilliseconds: 1_500)
            #expect((400...504).contains(error.status))
            #expect(error.status != 503 || error.retryAfterSeconds == 2)
        }
        #expect(EdgeError(.linkLost, retryAfterMilliseconds: 0).code == "outcome_unknown")
        #expect(EdgeError(.payloadTooLarge, retryAfterMilliseconds: 0).status == 413)
    }
}

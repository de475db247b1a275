// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import MartletLogic

/// `docs/errors.md` and the answers of the platform say the same.
@Suite("Functions: documents")
struct DocumentTests {
    @Test("Every code of the platform stands in the table with its status, and no other")
    func codes() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appendingPathComponent("docs/errors.md"), encoding: .utf8)
        let section = try #require(text.split(separator: "\n## Functions\n").last?.split(separator: "\n## ").first)
        let documented = section.matches(of: /(?m)^\| ([A-Z_]+) \| ([0-9]{3}) \|/).map { "\($0.1) \($0.2)" }
        let own: [RouteFailure] = [
            .methodNotAllowed, .nameMissing, .noAuthorization, .malformedToken, .unsupportedAlgorithm,
            .refusedToken(isSymmetric: true), .refusedToken(isSymmetric: false),
        ]
        let written = (own + FunctionFailure.Code.allCases.map(RouteFailure.init)).map { "\($0.code) \($0.status)" }
        #expect(Set(documented) == Set(written))
    }
}

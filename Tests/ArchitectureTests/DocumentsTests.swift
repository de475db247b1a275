// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The documents name what is there.
@Suite("Architecture: documents")
struct DocumentsTests {
    @Test("Every path that docs/ARCHITECTURE.md names exists")
    func pathsExist() throws {
        let text = try #require(SourceTree.text(of: "docs/ARCHITECTURE.md"))
        let pattern = /`((?:Services|Shared|Tests|compose|docs)\/[A-Za-z0-9_.\/-]*)`/
        let paths = text.matches(of: pattern).map { String($0.1) }
        #expect(paths.count > 10)
        for path in paths {
            let url = SourceTree.root.appendingPathComponent(path)
            #expect(FileManager.default.fileExists(atPath: url.path), "\(path) does not exist")
        }
    }

    @Test("Every decision record says its status, date, context, decision and consequences")
    func recordsAreWhole() throws {
        let folder = SourceTree.root.appendingPathComponent("docs/adr")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".md") }
        #expect(!names.isEmpty)
        for name in names {
            let text = try #require(SourceTree.text(of: "docs/adr/\(name)"))
            for heading in ["Status:", "Date:", "## Context", "## Decision", "## Consequences"] {
                #expect(text.contains(heading), "\(name) lacks \(heading)")
            }
        }
    }
}

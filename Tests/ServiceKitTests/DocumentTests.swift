// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit
import Testing

@Suite("Configuration document")
struct DocumentTests {
    @Test("docs/configuration.md is the table of keys; MARTLET_WRITE_DOCS=1 writes it anew")
    func equal() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/docs/configuration.md"
        if ProcessEnvironment.variables["MARTLET_WRITE_DOCS"] == "1" {
            try PosixFile.replace(path, with: ConfigurationDocument.text, mode: 0o644)
        }
        let text = try PosixFile.read(path, bytesMax: 1 << 20)
        #expect(text == ConfigurationDocument.text)
    }
}

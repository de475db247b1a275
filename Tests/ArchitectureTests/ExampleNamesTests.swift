// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@Suite("The example is an example")
struct ExampleNamesTests {
    @Test("No table, view or function of the example is named in what the services say or do")
    func names() throws {
        let folder = SourceTree.root.appendingPathComponent("compose/example")
        let migrations = folder.appendingPathComponent("migrations")
        var names: Set<String> = []
        for file in try FileManager.default.contentsOfDirectory(atPath: migrations.path) where file.hasSuffix(".sql") {
            let text = try String(contentsOf: migrations.appendingPathComponent(file), encoding: .utf8)
            names.formUnion(text.matches(of: /create (?:table|view|type) (\w+)/).map { String($0.1) })
        }
        let functions = folder.appendingPathComponent("functions")
        names.formUnion((try? FileManager.default.contentsOfDirectory(atPath: functions.path)) ?? [])
        #expect(names.count >= 5)
        // Words in string literals: a variable may well be called orders, as PostgREST's parameter is order.
        for file in SourceTree.swiftFiles(under: ["Services", "Shared"]) {
            for literal in file.text.matches(of: /"[^"\n]*"/) {
                let words = literal.0.split { !$0.isLetter && !$0.isNumber && $0 != "_" && $0 != "-" }.map(String.init)
                for word in words where names.contains(word) { Issue.record("\(file.path) names \(word)") }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The repository as its tests see it.
enum SourceTree {
    struct File: Sendable {
        /// Relative to the repository's root.
        let path: String
        let text: String

        /// Modules that the file imports.
        var imports: Set<String> {
            var modules: Set<String> = []
            for line in text.split(separator: "\n") {
                var words = line.split(separator: " ").map(String.init)
                while let first = words.first, first.hasPrefix("@") || ["package", "public", "internal"].contains(first) {
                    words.removeFirst()
                }
                guard words.first == "import", words.count >= 2 else { continue }
                let kinds: Set<String> = ["struct", "class", "enum", "protocol", "func", "typealias", "var", "let"]
                let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
                modules.insert(String(name.split(separator: ".")[0]))
            }
            return modules
        }
    }

    static let root: URL = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func swiftFiles(under folders: [String]) -> [File] {
        folders.flatMap { folder -> [File] in
            guard let walk = FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path) else {
                return []
            }
            return walk.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted().compactMap { path in
                text(of: "\(folder)/\(path)").map { File(path: "\(folder)/\(path)", text: $0) }
            }
        }
    }

    static func text(of path: String) -> String? {
        try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }
}

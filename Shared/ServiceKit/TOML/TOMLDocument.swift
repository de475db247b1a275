// SPDX-License-Identifier: Apache-2.0

/// A TOML 1.0 document as a flat list of keys with the line that each stands on, which is what settings and their
/// messages need. Inline tables are flattened as well; the elements of `[[array]]` tables get their number.
package struct TOMLDocument: Sendable {
    package struct Entry: Sendable, Equatable {
        /// The whole path, joined by dots: `auth.email.enable_signup`.
        package let path: String
        package let value: TOMLValue
        /// Counted from 1.
        package let line: Int
    }

    /// In the order of the file.
    package private(set) var entries: [Entry] = []
    /// Lines of table headers, by path.
    package private(set) var tables: [String: Int] = [:]
    private var lines: [String: Int] = [:]
    private var arrayCounts: [String: Int] = [:]
    /// Paths that are tables because something stands below them.
    private var implied: Set<String> = []

    /// Parses a whole document.
    package init(parsing text: String) throws(TOMLError) {
        var scanner = TOMLScanner(text)
        var prefix: [String] = []
        while true {
            scanner.skipBlank(newlines: true)
            guard let byte = scanner.peek else { return }
            let line = scanner.line
            if byte == UInt8(ascii: "[") {
                prefix = try readHeader(&scanner)
            } else {
                let key = try scanner.readKey()
                try scanner.expect("=", after: "a key")
                let value = try scanner.readValue(depth: 0)
                try add(prefix + key, value, line: line)
            }
            try scanner.expectEndOfLine()
        }
    }

    /// The entry at `path`, or nil.
    package subscript(_ path: String) -> Entry? {
        lines[path].map { entries[$0] }
    }

    private mutating func readHeader(_ scanner: inout TOMLScanner) throws(TOMLError) -> [String] {
        let line = scanner.line
        scanner.advance()
        let isArray = scanner.take("[")
        var path = try scanner.readKey()
        try scanner.expect("]", after: "a table's name")
        if isArray { try scanner.expect("]", after: "an array of tables") }
        // A header below an array of tables belongs to its newest element.
        for length in stride(from: path.count - (isArray ? 1 : 0), to: 0, by: -1) {
            let outer = path[..<length].joined(separator: ".")
            if let count = arrayCounts[outer] { path.insert(String(count - 1), at: length) }
        }
        let name = path.joined(separator: ".")
        if isArray {
            guard tables[name] == nil, lines[name] == nil else {
                throw TOMLError(line: line, reason: "\(name) is defined twice")
            }
            arrayCounts[name, default: 0] += 1
            return path + [String((arrayCounts[name] ?? 1) - 1)]
        }
        guard tables[name] == nil, lines[name] == nil, arrayCounts[name] == nil else {
            throw TOMLError(line: line, reason: "\(name) is defined twice")
        }
        tables[name] = line
        return path
    }

    private mutating func add(_ path: [String], _ value: TOMLValue, line: Int) throws(TOMLError) {
        let name = path.joined(separator: ".")
        guard lines[name] == nil, tables[name] == nil, !implied.contains(name) else {
            throw TOMLError(line: line, reason: "\(name) is defined twice")
        }
        for length in 1..<max(path.count, 1) {
            let outer = path[..<length].joined(separator: ".")
            guard lines[outer] == nil else { throw TOMLError(line: line, reason: "\(outer) is no table") }
            implied.insert(outer)
        }
        if case .table(let members) = value {
            tables[name] = line
            for (key, member) in members.sorted(by: { $0.key < $1.key }) {
                try add(path + [key], member, line: line)
            }
            return
        }
        lines[name] = entries.count
        entries.append(Entry(path: name, value: value, line: line))
    }
}

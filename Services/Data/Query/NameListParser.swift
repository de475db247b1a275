// SPDX-License-Identifier: Apache-2.0

/// Parses `columns` and `on_conflict`: names, usually quoted, separated by commas (rest contract 11.2, 11.4).
enum NameListParser {
    static func parse(_ text: String, parameter: String) throws(RowError) -> [String] {
        var scanner = TextScanner(text, subject: parameter)
        var names: [String] = []
        repeat {
            scanner.skipSpaces()
            let name = try scanner.takeName()
            if !names.contains(name) { names.append(name) }
            scanner.skipSpaces()
        } while scanner.take(",")
        try scanner.expectEnd(expecting: "\",\" or end of input")
        return names
    }
}

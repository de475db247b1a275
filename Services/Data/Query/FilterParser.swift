// SPDX-License-Identifier: Apache-2.0

/// Parses plain filters: `column=[not.]operator[(modifier)].value` (rest contract 2).
enum FilterParser {
    /// The embed path and the field that a parameter's name holds.
    static func key(_ name: String) throws(RowError) -> (path: [String], field: FieldNode) {
        var scanner = TextScanner(name, subject: "tree path")
        var names: [String] = []
        repeat { names.append(try scanner.takeName()) } while scanner.take(".")
        let steps = try scanner.takeJSONPath()
        try scanner.expectEnd(expecting: "\".\", \"->\" or end of input")
        let last = names.removeLast()
        return (names, FieldNode(last, path: steps))
    }

    /// Names separated by dots.
    static func path(_ text: String) throws(RowError) -> [String] {
        var scanner = TextScanner(text, subject: "tree path")
        var names: [String] = []
        repeat { names.append(try scanner.takeName()) } while scanner.take(".")
        try scanner.expectEnd(expecting: "\".\" or end of input")
        return names
    }

    /// A whole parameter's value: single values are verbatim.
    static func condition(on field: FieldNode, _ text: String) throws(RowError) -> ConditionNode {
        var scanner = TextScanner(text, subject: "filter")
        let node = try OperationParser.condition(on: field, &scanner, style: .parameter)
        try scanner.expectEnd()
        return node
    }
}

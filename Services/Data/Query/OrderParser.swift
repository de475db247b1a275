// SPDX-License-Identifier: Apache-2.0

/// Parses `order` (rest contract 8).
enum OrderParser {
    static func parse(_ text: String) throws(RowError) -> [OrderNode] {
        var scanner = TextScanner(text, subject: "order")
        var terms: [OrderNode] = []
        repeat {
            scanner.skipSpaces()
            terms.append(try term(&scanner))
            scanner.skipSpaces()
        } while scanner.take(",")
        try scanner.expectEnd(expecting: "\".\", \",\" or end of input")
        return terms
    }

    private static func term(_ scanner: inout TextScanner) throws(RowError) -> OrderNode {
        let name = try scanner.takeName()
        var node: OrderNode
        if scanner.take("(") {
            scanner.skipSpaces()
            let field = FieldNode(try scanner.takeName(), path: try scanner.takeJSONPath())
            scanner.skipSpaces()
            try scanner.expect(")")
            node = OrderNode(field, embed: name)
        } else {
            node = OrderNode(FieldNode(name, path: try scanner.takeJSONPath()))
        }
        var hasDirection = false
        while scanner.take(".") {
            if !hasDirection, node.nullsFirst == nil, scanner.take("asc") {
                hasDirection = true
            } else if !hasDirection, node.nullsFirst == nil, scanner.take("desc") {
                hasDirection = true
                node.isDescending = true
            } else if node.nullsFirst == nil, scanner.take("nullsfirst") {
                node.nullsFirst = true
            } else if node.nullsFirst == nil, scanner.take("nullslast") {
                node.nullsFirst = false
            } else {
                throw scanner.failure(expecting: "\"asc\", \"desc\", \"nullsfirst\" or \"nullslast\"")
            }
        }
        return node
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Parses `and=(…)` and `or=(…)` (rest contract 3).
struct LogicParser {
    enum Connective: String { case and, or }

    private var scanner: TextScanner
    private var depth = 0

    static func parse(_ connective: Connective, isNegated: Bool, _ text: String) throws(RowError) -> ConditionNode {
        var parser = LogicParser(scanner: TextScanner(text, subject: "logic tree"))
        let tree = try parser.tree(connective, isNegated: isNegated)
        try parser.scanner.expectEnd()
        return tree
    }

    private init(scanner: TextScanner) { self.scanner = scanner }

    /// The bracketed items after `and` or `or`.
    private mutating func tree(_ connective: Connective, isNegated: Bool) throws(RowError) -> ConditionNode {
        depth += 1
        guard depth <= QueryParser.depthMax else { throw scanner.failure(expecting: "fewer levels of brackets") }
        scanner.skipSpaces()
        try scanner.expect("(")
        var items: [ConditionNode] = []
        repeat {
            scanner.skipSpaces()
            items.append(try item())
            scanner.skipSpaces()
        } while scanner.take(",")
        try scanner.expect(")")
        scanner.skipSpaces()
        depth -= 1
        let node: ConditionNode = connective == .and ? .and(items) : .or(items)
        return isNegated ? .not(node) : node
    }

    private mutating func item() throws(RowError) -> ConditionNode {
        let start = scanner.position
        let isNegated = scanner.take("not.")
        for connective in [Connective.and, .or] where scanner.take(connective.rawValue) {
            if scanner.next == "(" || scanner.next == " " {
                let afterWord = scanner.position
                scanner.skipSpaces()
                if scanner.next == "(" { return try tree(connective, isNegated: isNegated) }
                scanner.reset(to: afterWord)
            }
            break
        }
        scanner.reset(to: start)
        let field = FieldNode(try scanner.takeName(), path: try scanner.takeJSONPath())
        try scanner.expect(".")
        return try OperationParser.condition(on: field, &scanner, style: .tree)
    }
}

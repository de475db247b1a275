// SPDX-License-Identifier: Apache-2.0

/// Parses `select` (rest contract 5.1).
struct SelectParser {
    private var scanner: TextScanner
    private var depth = 0

    private static let aggregates = ["sum", "avg", "count", "max", "min"]

    /// The items; none for an empty text.
    static func parse(_ text: String) throws(RowError) -> [SelectNode] {
        var parser = SelectParser(scanner: TextScanner(text, subject: "select parameter"))
        let items = try parser.items(untilBracket: false)
        try parser.scanner.expectEnd(expecting: "\",\" or end of input")
        return items
    }

    private init(scanner: TextScanner) { self.scanner = scanner }

    private mutating func items(untilBracket: Bool) throws(RowError) -> [SelectNode] {
        scanner.skipSpaces()
        if untilBracket ? scanner.next == ")" : scanner.isAtEnd { return [] }
        var items: [SelectNode] = []
        repeat {
            scanner.skipSpaces()
            items.append(try item())
            scanner.skipSpaces()
        } while scanner.take(",")
        return items
    }

    private mutating func item() throws(RowError) -> SelectNode {
        if scanner.take("*") { return .star }
        let isSpread = scanner.take("...")
        var alias: String?
        var name = try scanner.takeName()
        if !isSpread, scanner.next == ":", !scanner.isAt("::") {
            scanner.advance()
            scanner.skipSpaces()
            alias = name
            name = try scanner.takeName()
        }
        if name != "count", scanner.next == "!" || scanner.next == "(" {
            return .embed(try embed(name, alias: alias, isSpread: isSpread))
        }
        if isSpread { throw scanner.failure(expecting: "\"!\" or \"(\"") }
        if name == "count", scanner.take("()") {
            if scanner.take("::") { _ = try typeName() }
            return .aggregate(function: "count")
        }
        let field = FieldNode(name, path: try scanner.takeJSONPath())
        let cast = scanner.take("::") ? try typeName() : nil
        if scanner.take(".") {
            for function in Self.aggregates where scanner.take("\(function)()") {
                if scanner.take("::") { _ = try typeName() }
                return .aggregate(function: function)
            }
            throw scanner.failure(expecting: "an aggregate function: \(Self.aggregates.joined(separator: ", "))")
        }
        return .field(field, alias: alias, cast: cast)
    }

    private mutating func embed(_ target: String, alias: String?, isSpread: Bool) throws(RowError) -> EmbedNode {
        var embed = EmbedNode(target: target, alias: alias, isSpread: isSpread, items: [])
        var joins = 0
        while scanner.take("!") {
            let word = try scanner.takeName()
            switch word {
            case "inner", "left":
                joins += 1
                embed.isInner = word == "inner"
            default:
                guard embed.hint == nil else { throw scanner.failure(expecting: "\"(\"") }
                embed.hint = word
            }
            guard joins <= 1 else { throw scanner.failure(expecting: "\"(\"") }
        }
        try scanner.expect("(")
        depth += 1
        guard depth <= QueryParser.depthMax else { throw scanner.failure(expecting: "fewer levels of embedding") }
        embed.items = try items(untilBracket: true)
        depth -= 1
        try scanner.expect(")")
        return embed
    }

    /// Letters, digits, `_`, space and `$`: safe to stand in SQL as it is.
    private mutating func typeName() throws(RowError) -> String {
        let text = scanner.takeWhile { TextScanner.isIdentifier($0) }
        var name = Substring(text)
        while name.first == " " { name.removeFirst() }
        while name.last == " " { name.removeLast() }
        guard !name.isEmpty else { throw scanner.failure(expecting: "a type name") }
        return String(name)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletData
import Testing

@Suite("Query strings")
struct QueryParserTests {
    struct FilterCase: Sendable, CustomTestStringConvertible {
        let query: String
        let operation: FilterOperation
        var isNegated = false
        var testDescription: String { query }
    }

    @Test(
        "A filter's value is verbatim, and lists follow their own rules",
        arguments: [
            FilterCase(query: "a=eq.1", operation: .compare(.equal, "1")),
            FilterCase(query: "a=eq.", operation: .compare(.equal, "")),
            FilterCase(query: "a=eq.Read+%22Dune%22,(x)", operation: .compare(.equal, "Read \"Dune\",(x)")),
            FilterCase(query: "a=eq.100%", operation: .compare(.equal, "100%")),
            FilterCase(query: "a=neq.x", operation: .compare(.notEqual, "x")),
            FilterCase(
                query: "a=gte.2024-01-02T12:00:00%2B02:00",
                operation: .compare(.greaterOrEqual, "2024-01-02T12:00:00+02:00")),
            FilterCase(query: "a=not.lt.3", operation: .compare(.less, "3"), isNegated: true),
            FilterCase(query: "a=like.*x*", operation: .like(pattern: "%x%", ignoresCase: false)),
            FilterCase(query: "a=ilike.x%25", operation: .like(pattern: "x%", ignoresCase: true)),
            FilterCase(query: "a=is.NULL", operation: .isExactly(.null)),
            FilterCase(query: "a=not.is.null", operation: .isExactly(.null), isNegated: true),
            FilterCase(query: "a=is.not_null", operation: .isExactly(.notNull)),
            FilterCase(query: "a=in.(1,2,%22a,b%22)", operation: .isIn(["1", "2", "a,b"])),
            FilterCase(query: "a=in.()", operation: .isIn([])),
            FilterCase(query: "a=in.(%22%22)", operation: .isIn([])),
            FilterCase(query: "a=in.(%22a%22b,c)", operation: .isIn(["\"a\"b", "c"])),
            FilterCase(query: "a=in.(%22q%5C%22q%22)", operation: .isIn(["q\"q"])),
            FilterCase(query: "a=eq(any).{1,2}", operation: .compareEach(.equal, .any, ["1", "2"])),
            FilterCase(
                query: "a=like(all).{*x,y*}",
                operation: .likeEach(patterns: ["%x", "y%"], ignoresCase: false, .all)),
            FilterCase(query: "a=isdistinct.5", operation: .isDistinct("5")),
        ])
    func filter(_ item: FilterCase) throws {
        let query = try QueryParser.parse(item.query)
        #expect(
            query.conditions.map(\.node) == [
                .filter(FieldNode("a"), isNegated: item.isNegated, item.operation)
            ])
    }

    @Test(
        "A syntax error is PGRST100 and names what was parsed",
        arguments: [
            ("a=1", "filter"), ("a=foo.1", "filter"), ("a=not.not.eq.1", "filter"), ("a=in.1", "filter"),
            ("a=is.maybe", "filter"), ("a=neq(any).{1}", "filter"), ("select=a(", "select parameter"),
            ("select=a,,b", "select parameter"), ("order=a.up", "order"), ("or=()", "logic tree"),
            ("or=(a.eq.1", "logic tree"), ("columns=", "columns parameter"), ("a.%22b=eq.1", "tree path"),
        ])
    func syntaxError(_ query: String, _ subject: String) {
        let error = #expect(throws: RowError.self) { _ = try QueryParser.parse(query) }
        #expect(error?.code == "PGRST100")
        #expect(error?.message.contains("failed to parse \(subject) (") == true, "\(error?.message ?? "")")
    }

    @Test("Select takes aliases, casts, JSON paths and embeds to any depth")
    func select() throws {
        let query = try QueryParser.parse(
            "select=id,n:name::text,data-%3Ea-%3E%3E0,my-col,boss:users!fk!inner(*,orders()),count")
        #expect(
            query.select == [
                .field(FieldNode("id"), alias: nil, cast: nil),
                .field(FieldNode("name"), alias: "n", cast: "text"),
                .field(
                    FieldNode("data", path: [JSONStep(.key("a"), asText: false), JSONStep(.index(0), asText: true)]),
                    alias: nil, cast: nil),
                .field(FieldNode("my-col"), alias: nil, cast: nil),
                .embed(
                    EmbedNode(
                        target: "users", alias: "boss", hint: "fk", isInner: true,
                        items: [.star, .embed(EmbedNode(target: "orders", items: []))])),
                .field(FieldNode("count"), alias: nil, cast: nil),
            ])
    }

    @Test("Logic trees nest, negate and quote")
    func logic() throws {
        let query = try QueryParser.parse("or=(a.eq.1,not.and(b.gt.2,c.in.(x,%22y)%22)),d.eq.%22p,q%22)")
        #expect(
            query.conditions.map(\.node) == [
                .or([
                    .filter(FieldNode("a"), isNegated: false, .compare(.equal, "1")),
                    .not(
                        .and([
                            .filter(FieldNode("b"), isNegated: false, .compare(.greater, "2")),
                            .filter(FieldNode("c"), isNegated: false, .isIn(["x", "y)"])),
                        ])),
                    .filter(FieldNode("d"), isNegated: false, .compare(.equal, "p,q")),
                ])
            ])
    }

    @Test("Dotted prefixes name embeds; the first select and the last limit count")
    func prefixes() throws {
        let query = try QueryParser.parse(
            "select=a&select=b&limit=1&limit=2&offset=-3&x.y.order=z.desc.nullslast&x.limit=4&x.not.or=(a.eq.1)&limit=q"
        )
        #expect(query.select == [.field(FieldNode("a"), alias: nil, cast: nil)])
        #expect(query.window(at: [])?.limit == 2)
        #expect(query.window(at: [])?.offset == 0)
        #expect(query.window(at: ["x"])?.limit == 4)
        #expect(query.orders.first?.path == ["x", "y"])
        #expect(query.orders.first?.terms == [OrderNode(FieldNode("z"), isDescending: true, nullsFirst: false)])
        #expect(query.conditions.first?.path == ["x"])
    }

    @Test("Nesting is bounded")
    func nesting() {
        let deep = String(repeating: "and(", count: 40) + "a.eq.1" + String(repeating: ")", count: 40)
        #expect(throws: RowError.self) { _ = try QueryParser.parse("or=(\(deep))") }
        let embeds = String(repeating: "a(", count: 40) + String(repeating: ")", count: 40)
        #expect(throws: RowError.self) { _ = try QueryParser.parse("select=\(embeds)") }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A type name in SQL as the type it means.
struct TypeResolver: Sendable {
    let names: NameResolver

    /// A column's or a cast's type.
    ///
    /// Throws `42704` for a type that does not exist, `0A000` for one that SQLite does not hold.
    func type(_ node: ParseNode) throws(TranslationFault) -> ColumnType {
        try node.allow("names", "typmods", "typemod", "arrayBounds")
        let parts = node.strings("names")
        let modifiers = try modifiers(of: node)
        var type = try scalar(parts, modifiers: modifiers, at: node.location)
        if node.has("arrayBounds") {
            guard type.base != .json || type.isArray else {
                throw TranslationFault("arrays of json are not translated; use jsonb[]", at: node.location)
            }
            type = type.array
        }
        return type
    }

    /// The integer type behind `serial` and its kin; nil for any other name.
    static func serial(_ node: ParseNode) -> ColumnType? {
        guard node.strings("names").count == 1, !node.has("arrayBounds") else { return nil }
        switch node.strings("names")[0] {
        case "serial", "serial4": return .int4
        case "bigserial", "serial8": return .int8
        case "smallserial", "serial2": return .int2
        default: return nil
        }
    }

    private func modifiers(of node: ParseNode) throws(TranslationFault) -> [Int] {
        var values: [Int] = []
        for modifier in node.list("typmods") {
            guard modifier.kind == "A_Const",
                let value = modifier.bare("ival", as: "Integer")?.integer("ival") ?? zero(modifier)
            else { throw TranslationFault("a type's modifier must be a number", at: modifier.location) }
            values.append(Int(value))
        }
        return values
    }

    private func zero(_ node: ParseNode) -> Int64? { node.has("ival") ? 0 : nil }

    private func scalar(
        _ parts: [String], modifiers: [Int], at location: Int?
    ) throws(TranslationFault) -> ColumnType {
        let isBuiltIn = parts.count == 1 || parts.first == "pg_catalog"
        if parts.count == 1, let enumeration = names.enumeration(parts) { return Self.type(of: enumeration) }
        if isBuiltIn, let name = parts.last, let type = Self.builtIn[name] {
            return try apply(modifiers, to: type, at: location)
        }
        if let enumeration = names.enumeration(parts) { return Self.type(of: enumeration) }
        let name = parts.joined(separator: ".")
        if let reason = Self.refused[parts.last ?? ""] {
            throw TranslationFault("type \(name) is not translated: \(reason)", at: location)
        }
        throw TranslationFault("type \"\(name)\" does not exist", at: location, sqlState: "42704")
    }

    static func type(of enumeration: EnumType) -> ColumnType {
        let name = enumeration.name
        let display = name.schema == "public" ? name.name : "\(name.schema).\(name.name)"
        return ColumnType(base: .enumeration, enumName: name, display: display)
    }

    private func apply(
        _ modifiers: [Int], to type: ColumnType, at location: Int?
    ) throws(TranslationFault) -> ColumnType {
        var type = type
        switch (type.base, modifiers.count) {
        case (.bpchar, 0):
            // `char` alone is char(1); the grammar writes the 1. `bpchar` alone has no length and is not padded.
            throw TranslationFault("type bpchar without a length is not translated", at: location)
        case (_, 0): return type
        case (.varchar, 1), (.bpchar, 1):
            guard modifiers[0] > 0, modifiers[0] <= 10_485_760 else {
                throw TranslationFault(
                    "length for type \(type.display) must be between 1 and 10485760", at: location, sqlState: "22023")
            }
            type.precision = modifiers[0]
            type.display += "(\(modifiers[0]))"
        case (.numeric, 1), (.numeric, 2):
            let scale = modifiers.count == 2 ? modifiers[1] : 0
            guard (1...1000).contains(modifiers[0]) else {
                throw TranslationFault(
                    "NUMERIC precision \(modifiers[0]) must be between 1 and 1000", at: location, sqlState: "22023")
            }
            guard scale >= 0, scale <= modifiers[0] else {
                throw TranslationFault("numeric with a scale outside 0…precision is not translated", at: location)
            }
            type.precision = modifiers[0]
            type.scale = scale
            type.display = "numeric(\(modifiers[0]),\(scale))"
        case (.timestamp, 1), (.timestamptz, 1), (.time, 1):
            guard (0...6).contains(modifiers[0]) else {
                throw TranslationFault("\(type.display) has 0 to 6 digits of a second", at: location)
            }
            // Six is what the type has anyway.
            guard modifiers[0] < 6 else { return type }
            type.precision = modifiers[0]
            let words = type.display.split(separator: " ", maxSplits: 1)
            type.display = "\(words[0])(\(modifiers[0])) \(words[1])"
        default:
            throw TranslationFault("type modifiers of \(type.display) are not translated", at: location)
        }
        return type
    }

    static let builtIn: [String: ColumnType] = [
        "bool": .bool, "boolean": .bool, "int2": .int2, "int4": .int4, "int8": .int8, "float4": .float4,
        "float8": .float8, "numeric": .numeric, "decimal": .numeric, "text": .text, "varchar": .varchar,
        "bpchar": .bpchar, "uuid": .uuid, "date": .date, "time": .time, "timestamp": .timestamp,
        "timestamptz": .timestamptz, "interval": .interval, "json": .json, "jsonb": .jsonb, "bytea": .bytea,
        "_text": ColumnType.text.array, "_int4": ColumnType.int4.array, "_int8": ColumnType.int8.array,
        "_uuid": ColumnType.uuid.array, "_varchar": ColumnType.varchar.array,
    ]

    /// Types that real projects name and SQLite does not hold, with the reason.
    static let refused: [String: String] = [
        "citext": "SQLite has no text that compares without case; use text with an index on lower(…)",
        "inet": "network addresses are not kept on SQLite", "cidr": "network addresses are not kept on SQLite",
        "macaddr": "network addresses are not kept on SQLite", "timetz": "use time, or timestamptz",
        "money": "use numeric", "xml": "use text", "tsvector": "full text search is not translated yet",
        "tsquery": "full text search is not translated yet", "vector": "the vector extension is not translated",
        "point": "geometric types are not translated", "polygon": "geometric types are not translated",
        "box": "geometric types are not translated", "geometry": "PostGIS is not translated",
        "geography": "PostGIS is not translated", "int4range": "ranges are not translated",
        "int8range": "ranges are not translated", "numrange": "ranges are not translated",
        "tsrange": "ranges are not translated", "tstzrange": "ranges are not translated",
        "daterange": "ranges are not translated", "bit": "bit strings are not translated",
        "varbit": "bit strings are not translated", "name": "use text", "oid": "use bigint", "hstore": "use jsonb",
        "regclass": "object identifiers are not translated", "ltree": "the ltree extension is not translated",
        "serial": "serial is a column's type only", "bigserial": "bigserial is a column's type only",
    ]
}

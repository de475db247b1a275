// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Where a statement's parameter comes from, so that the statement serves other reads of its shape.
enum ParameterSource: Sendable {
    /// Part of the statement: the same for every read, or given with each run.
    case fixed
    /// A text of a filter, by its place in `ReadShape.texts`.
    case text(Int, ValueConversion)
    case limit
    case offset
}

/// How a filter's text becomes a parameter.
enum ValueConversion: Sendable {
    /// A pattern.
    case verbatim
    /// A value of the type, in the form on disk.
    case parsed(ColumnType)
    /// A `char(n)`, which has blanks up to its length.
    case padded(ColumnType, length: Int)
    /// A decimal of any number of digits.
    case decimal
    /// A decimal as an integer, times ten to the scale.
    case scaled(Int)

    /// - Returns: nil when the text cannot be written this way, so that another statement is needed.
    /// - Throws: `DatabaseError` for a text that is no value of the type.
    func value(of text: String, _ enums: [QualifiedName: EnumType]) throws(DatabaseError) -> SQLValue? {
        switch self {
        case .verbatim: return .text(text)
        case .parsed(let type): return try ValueForm.parse(text, as: type, enums: enums)
        case .padded(let type, let length):
            guard case .text(let short) = try ValueForm.parse(text, as: type, enums: enums) else { return nil }
            return .text(short + String(repeating: " ", count: max(0, length - short.unicodeScalars.count)))
        case .decimal: return try ValueForm.parse(text, as: Self.numeric)
        case .scaled(let scale):
            guard case .text(let digits) = try ValueForm.parse(text, as: Self.numeric) else { return nil }
            return Self.scaled(digits, scale).map { .integer($0) }
        }
    }

    private static let numeric = ColumnType(base: .numeric, display: "numeric")

    /// The decimal times ten to the scale, when that is an integer of 64 bits.
    private static func scaled(_ digits: String, _ scale: Int) -> Int64? {
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return nil }
        var fraction = parts.count == 2 ? String(parts[1]) : ""
        while fraction.hasSuffix("0"), fraction.count > scale { fraction.removeLast() }
        guard fraction.count <= scale else { return nil }
        return Int64(parts[0] + fraction + String(repeating: "0", count: scale - fraction.count))
    }
}

/// Parameters of one statement and where they come from.
struct Parameters: Sendable {
    private(set) var values: [SQLValue]
    /// Of those behind the context, which `values` begins with.
    private var sources: [ParameterSource] = []
    private let contextCount: Int
    /// Whether other texts of the same shape need no other statement.
    var isReusable = true

    init(context: [SQLValue]) {
        values = context
        contextCount = context.count
    }

    var count: Int { values.count }

    mutating func append(_ value: SQLValue, from source: ParameterSource) {
        values.append(value)
        sources.append(source)
    }

    /// The parameters without what one read brought: nobody's values are kept, and none can reach somebody else.
    var withoutValues: Parameters {
        var blank = self
        for position in 0..<contextCount { blank.values[position] = .null }
        for (index, source) in sources.enumerated() {
            if case .fixed = source { continue }
            blank.values[contextCount + index] = .null
        }
        return blank
    }

    /// Those of another read of the same shape; nil when it needs another statement.
    ///
    /// - Throws: `DatabaseError` for the first text that is no value of its type.
    func taken(from read: ReadValues) throws(DatabaseError) -> Parameters? {
        var taken = self
        for position in 0..<contextCount { taken.values[position] = read.context[position] }
        for (index, source) in sources.enumerated() {
            let value: SQLValue
            switch source {
            case .fixed: continue
            case .limit: value = .integer(read.limit ?? -1)
            case .offset: value = .integer(read.offset)
            case .text(let number, let conversion):
                guard read.texts.indices.contains(number),
                    let converted = try conversion.value(of: read.texts[number], read.enums)
                else { return nil }
                value = converted
            }
            taken.values[contextCount + index] = value
        }
        return taken
    }
}

/// What a read brings to statements that are made already.
struct ReadValues {
    /// `RowAccess.context`.
    let context: [SQLValue]
    /// `ReadShape.texts`.
    let texts: [String]
    /// The root's window.
    let limit: Int64?
    let offset: Int64
    let enums: [QualifiedName: EnumType]
}

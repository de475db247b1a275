// SPDX-License-Identifier: Apache-2.0
package import MartletDatabase

/// The functions, aggregates and collations that translated SQL calls on SQLite. Names begin with `martlet_`.
///
/// Every connection that runs translated SQL, or writes to tables with checks and indexes made from it, registers all.
package enum MartletFunctions {
    package static let all: [SQLiteFunction] =
        texts + numbers + decimals + moments + documents + builders + arrays + casts + session

    /// `martlet_numeric`: decimal texts by value, so that 1.0 and 1.00 are one key. Frozen: indexes depend on it.
    package static let collations: [SQLiteCollation] = [
        SQLiteCollation("martlet_numeric") { left, right in
            guard let first = Decimal(left), let second = Decimal(right) else {
                return left == right ? 0 : left < right ? -1 : 1
            }
            return Int32(Decimal.compare(first, second))
        }
    ]

    package static let aggregates: [SQLiteAggregate] = [
        SQLiteAggregate("martlet_decimal_sum", arguments: 1) { DecimalAggregate(isAverage: false) },
        SQLiteAggregate("martlet_decimal_avg", arguments: 1) { DecimalAggregate(isAverage: true) },
        SQLiteAggregate("martlet_array_agg", arguments: 1) { CollectingAggregate(separator: ",", isBinary: false) },
        SQLiteAggregate("martlet_json_agg", arguments: 1) { CollectingAggregate(separator: ", ", isBinary: false) },
        SQLiteAggregate("martlet_jsonb_agg", arguments: 1) { CollectingAggregate(separator: ", ", isBinary: true) },
    ]

    private static let session: [SQLiteFunction] = [
        SQLiteFunction("martlet_uuid", arguments: 0, isDeterministic: false) { _ in .text(Self.randomUUID()) },
        SQLiteFunction("martlet_now", arguments: 0, isDeterministic: false) { _ in .integer(Self.now()) },
        // Not deterministic to SQLite: it would compute a constant call ahead of the branch that it stands in.
        SQLiteFunction("martlet_fail", arguments: 2, isDeterministic: false) { arguments in
            throw DatabaseError(
                sqlState: arguments[0].textValue ?? "XX000", message: arguments[1].textValue ?? "the statement failed")
        },
    ]

    // MARK: Arguments

    /// A function that answers NULL when an argument is NULL.
    static func strict(
        _ name: String, _ count: Int32, _ body: @escaping @Sendable (Arguments) throws -> SQLValue
    ) -> SQLiteFunction {
        SQLiteFunction(name, arguments: count) { values in
            for value in values where value.isNull { return .null }
            return try body(Arguments(values: values))
        }
    }

    /// The arguments of one call. One of another kind than asked for reads as empty or zero: translated SQL has none.
    struct Arguments {
        let values: [SQLValue]

        func text(_ index: Int) -> String {
            switch values[index] {
            case .text(let text): text
            case .integer(let number): String(number)
            case .real(let number): FloatText.text(number, isSingle: false)
            default: ""
            }
        }

        func integer(_ index: Int) -> Int64 {
            switch values[index] {
            case .integer(let number): number
            case .boolean(let truth): truth ? 1 : 0
            default: 0
            }
        }

        /// A number of characters, far inside the range where it can be negated.
        func count(_ index: Int) -> Int { Int(min(max(integer(index), -Int64(Int32.max)), Int64(Int32.max))) }

        func real(_ index: Int) -> Double {
            switch values[index] {
            case .real(let number): number
            case .integer(let number): Double(number)
            default: 0
            }
        }

        func decimal(_ index: Int) throws -> Decimal {
            guard let decimal = Decimal(text(index)) else {
                throw DatabaseError(
                    sqlState: "22P02", message: "invalid input syntax for type numeric: \"\(text(index))\"")
            }
            return decimal
        }
    }

    static func error(_ sqlState: String, _ message: String) -> DatabaseError {
        DatabaseError(sqlState: sqlState, message: message)
    }
}

/// `sum` and `avg` of numeric, exact.
private final class DecimalAggregate: SQLiteAggregateState {
    private let isAverage: Bool
    private var sum: Decimal?
    private var count: Int64 = 0

    init(isAverage: Bool) { self.isAverage = isAverage }

    func step(_ arguments: [SQLValue]) throws {
        guard let value = arguments.first, !value.isNull else { return }
        let decimal = try MartletFunctions.Arguments(values: [value]).decimal(0)
        sum = sum.map { $0 + decimal } ?? decimal
        count += 1
    }

    func result() throws -> SQLValue {
        guard let sum else { return .null }
        guard isAverage else { return .text(sum.text) }
        return Decimal.divided(sum, by: Decimal(count)).map { .text($0.text) } ?? .null
    }
}

/// `array_agg`, `json_agg` and `jsonb_agg` of values that are JSON already; NULL without rows.
private final class CollectingAggregate: SQLiteAggregateState {
    private let separator: String
    private let isBinary: Bool
    private var parts: [String] = []

    init(separator: String, isBinary: Bool) {
        self.separator = separator
        self.isBinary = isBinary
    }

    func step(_ arguments: [SQLValue]) throws {
        guard case .text(let text)? = arguments.first else { return }
        parts.append(isBinary ? try MartletFunctions.canonical(text) : text)
    }

    func result() throws -> SQLValue {
        parts.isEmpty ? .null : .text("[" + parts.joined(separator: separator) + "]")
    }
}

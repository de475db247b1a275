// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import MartletJSON

extension MartletFunctions {
    static let casts: [SQLiteFunction] = [
        strict("martlet_cast", 3) { arguments in
            guard let from = ColumnType(castKey: arguments.text(1)), let to = ColumnType(castKey: arguments.text(2))
            else {
                throw error("42846", "cannot cast type \(arguments.text(1)) to \(arguments.text(2))")
            }
            return try cast(arguments.values[0], from: from, to: to)
        }
    ]

    private static func cast(_ value: SQLValue, from: ColumnType, to: ColumnType) throws -> SQLValue {
        if from.isFloat, to.isInteger || to.base == .numeric {
            return try fromFloat(Arguments(values: [value]).real(0), to: to)
        }
        if from.base == .numeric, !from.isArray, to.isInteger, let text = ValueForm.text(value, type: from) {
            return try rounded(text, to: to)
        }
        if from.base == .jsonb, !from.isArray, to.isNumber || to.base == .bool {
            return try fromDocument(value, to: to)
        }
        guard let text = ValueForm.text(value, type: from) else { return .null }
        return try ValueForm.parse(text, as: to)
    }

    private static func rounded(_ text: String, to type: ColumnType) throws -> SQLValue {
        guard let decimal = Decimal(text)?.rounded(to: 0) else { throw error("22P02", "invalid number \(text)") }
        let range: ClosedRange<Int64> =
            switch type.base {
            case .int2: Int64(Int16.min)...Int64(Int16.max)
            case .int4: Int64(Int32.min)...Int64(Int32.max)
            default: Int64.min...Int64.max
            }
        guard let value = decimal.scaled(by: 0) else { throw error("22003", "\(type.display) out of range") }
        return .integer(try integer(.integer(value), range, type.display))
    }

    /// To an integer: the nearest, halves to even. To numeric: 15 significant digits, as PostgreSQL takes from a float.
    private static func fromFloat(_ value: Double, to type: ColumnType) throws -> SQLValue {
        guard value.isFinite else { throw error("22003", "\(type.display) out of range") }
        if type.isInteger {
            return try rounded(FloatText.text(value.rounded(.toNearestOrEven), isSingle: false), to: type)
        }
        guard let exact = Decimal(FloatText.text(value, isSingle: false)) else { throw error("22003", "out of range") }
        var decimal = exact.rounded(to: max(15 - (exact.digits.count - exact.scale), 0))
        // Zeros behind the last digit are not part of a float.
        while decimal.scale > 0, decimal.rounded(to: decimal.scale - 1, .towardZero) == decimal.shortened {
            decimal = decimal.rounded(to: decimal.scale - 1)
        }
        return try ValueForm.numeric(decimal, type)
    }

    private static func fromDocument(_ value: SQLValue, to type: ColumnType) throws -> SQLValue {
        let text = Arguments(values: [value]).text(0)
        let document = try document(text)
        switch document {
        case .bool(let truth) where type.base == .bool: return .boolean(truth)
        case .number(let number) where type.base != .bool:
            if type.isInteger { return try rounded(number, to: type) }
            return try ValueForm.parse(number, as: type)
        case .null: throw error("22023", "cannot cast jsonb null to type \(type.display)")
        case .string: throw error("22023", "cannot cast jsonb string to type \(type.display)")
        case .array: throw error("22023", "cannot cast jsonb array to type \(type.display)")
        case .object: throw error("22023", "cannot cast jsonb object to type \(type.display)")
        case .bool: throw error("22023", "cannot cast jsonb boolean to type \(type.display)")
        case .number: throw error("22023", "cannot cast jsonb numeric to type \(type.display)")
        }
    }
}

extension Decimal {
    /// The number with one digit less behind the point when that digit is a zero; itself otherwise.
    fileprivate var shortened: Decimal {
        guard scale > 0, digits.last == 0 || digits.isEmpty else { return self }
        return rounded(to: scale - 1, .towardZero)
    }
}

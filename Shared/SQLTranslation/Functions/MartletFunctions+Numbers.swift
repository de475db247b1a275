// SPDX-License-Identifier: Apache-2.0
import MartletDatabase

extension MartletFunctions {
    static let numbers: [SQLiteFunction] = [
        strict("martlet_int2", 1) {
            .integer(try integer($0.values[0], Int64(Int16.min)...Int64(Int16.max), "smallint"))
        },
        strict("martlet_int4", 1) {
            .integer(try integer($0.values[0], Int64(Int32.min)...Int64(Int32.max), "integer"))
        },
        strict("martlet_int8_add", 2) { try checked($0.integer(0).addingReportingOverflow($0.integer(1))) },
        strict("martlet_int8_subtract", 2) { try checked($0.integer(0).subtractingReportingOverflow($0.integer(1))) },
        strict("martlet_int8_multiply", 2) {
            try checked($0.integer(0).multipliedReportingOverflow(by: $0.integer(1)))
        },
        strict("martlet_int8_divide", 2) { arguments in
            guard arguments.integer(1) != 0 else { throw divisionByZero }
            return try checked(arguments.integer(0).dividedReportingOverflow(by: arguments.integer(1)))
        },
        strict("martlet_int_mod", 2) { arguments in
            guard arguments.integer(1) != 0 else { throw divisionByZero }
            return .integer(
                arguments.integer(0).remainderReportingOverflow(dividingBy: arguments.integer(1)).partialValue)
        },
        strict("martlet_int8_abs", 1) { arguments in
            let value = arguments.integer(0)
            return value < 0 ? try checked(Int64(0).subtractingReportingOverflow(value)) : .integer(value)
        },
        strict("martlet_float", 1) { arguments in
            let value = arguments.real(0)
            guard value.isFinite else { throw error("22003", "value out of range: overflow") }
            return .real(value)
        },
        strict("martlet_float_divide", 2) { arguments in
            guard arguments.real(1) != 0 else { throw divisionByZero }
            let value = arguments.real(0) / arguments.real(1)
            guard value.isFinite else { throw error("22003", "value out of range: overflow") }
            return .real(value)
        },
        strict("martlet_float_round", 1) { .real($0.real(0).rounded(.toNearestOrEven)) },
        strict("martlet_float_floor", 1) { .real($0.real(0).rounded(.down)) },
        strict("martlet_float_ceil", 1) { .real($0.real(0).rounded(.up)) },
        SQLiteFunction("martlet_greatest", arguments: -1) { extreme($0, isGreatest: true, isDecimal: false) },
        SQLiteFunction("martlet_least", arguments: -1) { extreme($0, isGreatest: false, isDecimal: false) },
    ]

    static let decimals: [SQLiteFunction] = [
        strict("martlet_decimal_add", 2) { .text((try $0.decimal(0) + $0.decimal(1)).text) },
        strict("martlet_decimal_subtract", 2) { .text((try $0.decimal(0) - $0.decimal(1)).text) },
        strict("martlet_decimal_multiply", 2) { .text((try $0.decimal(0) * $0.decimal(1)).text) },
        strict("martlet_decimal_divide", 2) { arguments in
            guard let value = Decimal.divided(try arguments.decimal(0), by: try arguments.decimal(1)) else {
                throw divisionByZero
            }
            return .text(value.text)
        },
        strict("martlet_decimal_mod", 2) { arguments in
            guard let value = Decimal.remainder(try arguments.decimal(0), by: try arguments.decimal(1)) else {
                throw divisionByZero
            }
            return .text(value.text)
        },
        strict("martlet_decimal_abs", 1) { arguments in
            let value = try arguments.decimal(0)
            return .text((value.isNegative ? -value : value).text)
        },
        strict("martlet_decimal_round", 2) { .text(try $0.decimal(0).rounded(to: places($0)).text) },
        strict("martlet_decimal_trunc", 2) { .text(try $0.decimal(0).rounded(to: places($0), .towardZero).text) },
        strict("martlet_decimal_floor", 1) { .text(try $0.decimal(0).rounded(to: 0, .down).text) },
        strict("martlet_decimal_ceil", 1) { .text(try $0.decimal(0).rounded(to: 0, .up).text) },
        strict("martlet_decimal_unscale", 2) { .text(Decimal(scaled: $0.integer(0), scale: Int($0.integer(1))).text) },
        strict("martlet_decimal_scale", 3) { try ValueForm.numeric(try $0.decimal(0), numericType($0)) },
        strict("martlet_decimal_fit", 3) { try ValueForm.numeric(try $0.decimal(0), numericType($0)) },
        SQLiteFunction("martlet_decimal_greatest", arguments: -1) { extreme($0, isGreatest: true, isDecimal: true) },
        SQLiteFunction("martlet_decimal_least", arguments: -1) { extreme($0, isGreatest: false, isDecimal: true) },
    ]

    static var divisionByZero: DatabaseError { error("22012", "division by zero") }

    private static func places(_ arguments: Arguments) -> Int {
        Int(min(max(arguments.integer(1), -Int64(Decimal.digitsMax)), Int64(Decimal.digitsMax)))
    }

    private static func numericType(_ arguments: Arguments) -> ColumnType {
        let (precision, scale) = (Int(arguments.integer(1)), Int(arguments.integer(2)))
        return ColumnType(
            base: .numeric, precision: precision, scale: scale, display: "numeric(\(precision),\(scale))")
    }

    /// SQLite turns an integer that overflows into floating point: that too is out of range.
    static func integer(_ value: SQLValue, _ range: ClosedRange<Int64>, _ name: String) throws -> Int64 {
        guard case .integer(let number) = value, range.contains(number) else {
            throw error("22003", "\(name) out of range")
        }
        return number
    }

    private static func checked(_ result: (partialValue: Int64, overflow: Bool)) throws -> SQLValue {
        guard !result.overflow else { throw error("22003", "bigint out of range") }
        return .integer(result.partialValue)
    }

    /// GREATEST and LEAST, which pass over NULL.
    private static func extreme(_ values: [SQLValue], isGreatest: Bool, isDecimal: Bool) -> SQLValue {
        var best: SQLValue?
        for value in values where !value.isNull {
            guard let current = best else {
                best = value
                continue
            }
            if precedes(current, value, isDecimal: isDecimal) == isGreatest { best = value }
        }
        return best ?? .null
    }

    private static func precedes(_ left: SQLValue, _ right: SQLValue, isDecimal: Bool) -> Bool {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): return a < b
        case (.text(let a), .text(let b)):
            if isDecimal, let first = Decimal(a), let second = Decimal(b) { return Decimal.compare(first, second) < 0 }
            return a.utf8.lexicographicallyPrecedes(b.utf8)
        default:
            let arguments = Arguments(values: [left, right])
            return arguments.real(0) < arguments.real(1)
        }
    }
}

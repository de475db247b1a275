// SPDX-License-Identifier: Apache-2.0

package import MartletDatabase

extension ValueForm {
    /// Whether numbers can be added to values of a type.
    package static func isAddable(_ type: ColumnType) -> Bool {
        switch type.base {
        case .int2, .int4, .int8, .numeric, .float4, .float8: !type.isArray
        default: false
        }
    }

    /// `stored + amount` as PostgreSQL computes it: exact for integers and decimals, which are rounded to the column's
    /// scale once, after the addition. Null stays null.
    ///
    /// - Parameter amount: a number's text.
    /// - Throws: 22P02 for an amount that is none of the type, 22003 for a sum beyond it, 42883 for other types.
    package static func sum(
        _ stored: SQLValue, _ amount: String, type: ColumnType
    ) throws(DatabaseError) -> SQLValue {
        guard isAddable(type) else {
            throw DatabaseError(
                sqlState: "42883", message: "operator does not exist: \(type.display) + \(type.display)")
        }
        if type.base == .numeric {
            guard let addend = Decimal(amount) else {
                throw DatabaseError(
                    sqlState: "22P02", message: "invalid input syntax for type numeric: \"\(amount)\"")
            }
            guard let text = text(stored, type: type) else { return .null }
            guard let value = Decimal(text) else {
                throw DatabaseError(sqlState: "XX000", message: "a stored decimal cannot be read")
            }
            return try numeric(value + addend, type)
        }
        let addend = try parse(amount, as: type)
        switch (stored, addend) {
        case (.integer(let left), .integer(let right)):
            let (sum, overflows) = left.addingReportingOverflow(right)
            let range: ClosedRange<Int64> =
                switch type.base {
                case .int2: Int64(Int16.min)...Int64(Int16.max)
                case .int4: Int64(Int32.min)...Int64(Int32.max)
                default: Int64.min...Int64.max
                }
            guard !overflows, range.contains(sum) else {
                throw DatabaseError(sqlState: "22003", message: "\(type.display) out of range")
            }
            return .integer(sum)
        case (.real(let left), .real(let right)):
            let sum = type.base == .float4 ? Double(Float(left) + Float(right)) : left + right
            guard sum.isFinite || !left.isFinite || !right.isFinite else {
                throw DatabaseError(sqlState: "22003", message: "value out of range: overflow")
            }
            return .real(sum)
        default: return .null
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import MartletDatabase

/// PostgreSQL's rules for turning one type into another.
struct Coercion {
    /// How a conversion came about: wider contexts allow more.
    enum Context: Int { case implicit, assignment, explicit }

    let enums: [QualifiedName: EnumType]

    /// The expression as a value of `type`.
    ///
    /// Throws `42804`/`42846` when PostgreSQL has no such conversion, the literal's own code when it does not parse.
    func coerce(
        _ expression: TypedExpression, to type: ColumnType, _ context: Context
    ) throws(TranslationFault) -> TypedExpression {
        if let literal = expression.literal {
            var text = literal
            if context == .explicit, type.isString, let length = type.precision {
                // A cast that is written cuts what is too long.
                text = literal.map { String(String.UnicodeScalarView($0.unicodeScalars.prefix(length))) }
            }
            if let converted = try coerceLiteral(text, expression, to: type) { return converted }
        }
        if expression.type == type { return expression }
        if expression.type.isSame(as: type), type.precision == nil, type.base != .numeric {
            // varchar(5) as varchar: nothing happens to the value.
            return TypedExpression(expression.node, type: type, at: expression.location)
        }
        guard Self.allows(from: expression.type, to: type, context) else {
            switch context {
            case .explicit:
                throw TranslationFault(
                    "cannot cast type \(expression.type.display) to \(type.display)", at: expression.location,
                    sqlState: "42846")
            default:
                throw TranslationFault(
                    "expression is of type \(expression.type.display) where \(type.display) is needed",
                    at: expression.location, sqlState: "42804")
            }
        }
        return TypedExpression(
            .cast(expression, isExplicit: context == .explicit), type: type, at: expression.location)
    }

    private func coerceLiteral(
        _ literal: String?, _ expression: TypedExpression, to type: ColumnType
    ) throws(TranslationFault) -> TypedExpression? {
        let isNumberWidened =
            expression.type.isNumber && type.isNumber
            && (Signature.distance(from: expression.type, to: type) ?? .max) < .max
        guard literal == nil || expression.type.isUnknown || isNumberWidened || expression.type == type else {
            return nil
        }
        if let literal, type.base == .numeric, !type.isArray, type.precision != nil,
            expression.type.isInteger || expression.type.base == .numeric, let decimal = Decimal(literal)
        {
            // A constant is rounded here, so that the column's own form stands in the statement.
            do {
                _ = try ValueForm.numeric(decimal, type)
            } catch {
                throw TranslationFault(error.message, at: expression.location, sqlState: error.sqlState)
            }
            return TypedExpression(
                .literal(decimal.rounded(to: type.scale ?? 0).text), type: type, at: expression.location)
        }
        // Any other rounding is a conversion: the conversion's own code does it.
        let isRounded = type.precision != nil && !expression.type.isUnknown && expression.type != type
        guard literal == nil || !isRounded else { return nil }
        if let literal { try LiteralForm.check(literal, as: type, enums: enums, at: expression.location) }
        return TypedExpression(.literal(literal), type: type, at: expression.location)
    }

    /// Whether PostgreSQL converts `from` to `to` in `context`, and SQLite's side can do it truly.
    static func allows(from: ColumnType, to: ColumnType, _ context: Context) -> Bool {
        if from.isSame(as: to) { return true }
        if Signature.distance(from: from, to: to) != nil { return true }
        if from.isArray || to.isArray { return allowsArray(from: from, to: to, context) }
        if context == .implicit { return false }
        if from.isNumber, to.isNumber { return true }
        if from.isString, to.isString { return true }
        if to.isString { return from.base != .other }
        if from.isMoment, to.isMoment { return true }
        if from.base == .timestamp || from.base == .timestamptz, to.base == .time { return true }
        if from.base == .json, to.base == .jsonb { return true }
        if from.base == .jsonb, to.base == .json { return true }
        guard context == .explicit else { return false }
        if from.isString { return true }
        if from.base == .bool { return to.base == .int4 }
        if from.base == .int4 { return to.base == .bool }
        if from.base == .jsonb { return to.base == .bool || to.isNumber }
        return false
    }

    private static func allowsArray(from: ColumnType, to: ColumnType, _ context: Context) -> Bool {
        guard from.isArray, to.isArray else { return false }
        // Only relabelling: no element changes its form.
        return from.element.isText && to.element.isText && to.precision == nil
    }

    /// The one type for the branches of CASE, the items of IN, COALESCE, ARRAY.
    static func commonType(_ types: [ColumnType], at location: Int?) throws(TranslationFault) -> ColumnType {
        let known = types.filter { !$0.isUnknown }
        guard var common = known.first else { return .text }
        if known.allSatisfy({ $0 == common }) { return common }
        common = common.withoutModifiers
        for type in known.dropFirst().map(\.withoutModifiers) where !type.isSame(as: common) {
            if Signature.distance(from: common, to: type) != nil, !common.isText || type.base == .text {
                common = type
            } else if Signature.distance(from: type, to: common) == nil {
                throw TranslationFault(
                    "types \(common.display) and \(type.display) cannot be matched", at: location, sqlState: "42804")
            }
        }
        return common
    }

    func unify(
        _ expressions: [TypedExpression], at location: Int?
    ) throws(TranslationFault) -> (type: ColumnType, expressions: [TypedExpression]) {
        let type = try Self.commonType(expressions.map(\.type), at: location)
        var unified: [TypedExpression] = []
        for expression in expressions { unified.append(try coerce(expression, to: type, .implicit)) }
        return (type, unified)
    }
}

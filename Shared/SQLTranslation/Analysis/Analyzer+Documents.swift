// SPDX-License-Identifier: Apache-2.0

/// Functions that take values of any type and make JSON or arrays of them.
extension Analyzer {
    /// `to_json(value)`: a text of JSON, `null` for NULL.
    func json(of expression: TypedExpression) throws -> TypedExpression {
        var value = expression
        if value.type.isUnknown { value = try coercion.coerce(value, to: .text, .implicit) }
        let signature = Signature(
            "to_json", [value.type], .json, "martlet_to_json(%1, \(LiteralForm.quoted(value.type.castKey)))",
            takesNull: true)
        return TypedExpression(.call(signature, [value]), type: .json, at: expression.location)
    }

    /// `jsonb_build_object`, `jsonb_build_array`, `to_jsonb` and their json kin; nil for any other name.
    func documentFunction(
        _ name: String, _ arguments: [TypedExpression], at location: Int?
    ) throws -> TypedExpression? {
        let isBinary = name.contains("jsonb")
        let type: ColumnType = isBinary ? .jsonb : .json
        switch name {
        case "to_json", "to_jsonb":
            guard arguments.count == 1, !arguments[0].type.isUnknown else { return nil }
            let value = try json(of: arguments[0])
            // NULL stays NULL here, unlike inside an object.
            let template = isBinary ? "martlet_jsonb_or_null(%1, %2)" : "martlet_json_or_null(%1, %2)"
            let signature = Signature(name, [arguments[0].type, .json], type, template)
            return TypedExpression(.call(signature, [arguments[0], value]), type: type, at: location)
        case "json_build_array", "jsonb_build_array":
            let values = try arguments.map { try json(of: $0) }
            let signature = Signature(
                name, [.json], type, "martlet_\(name)(%*)", isVariadic: true, volatility: .stable, takesNull: true)
            return TypedExpression(.call(signature, values), type: type, at: location)
        case "json_build_object", "jsonb_build_object":
            guard arguments.count.isMultiple(of: 2) else {
                throw TranslationFault(
                    "argument list must have even number of elements", at: location, sqlState: "22023")
            }
            var values: [TypedExpression] = []
            for (index, argument) in arguments.enumerated() {
                values.append(
                    index.isMultiple(of: 2)
                        ? try coercion.coerce(argument, to: .text, .assignment) : try json(of: argument))
            }
            let signature = Signature(
                name, [.text], type, "martlet_\(name)(%*)", isVariadic: true, volatility: .stable, takesNull: true)
            return TypedExpression(.call(signature, values), type: type, at: location)
        default: return nil
        }
    }

    /// Aggregates that collect values; nil for any other kind. Their order is not defined, as in PostgreSQL.
    func collection(
        _ kind: Aggregate.Kind, _ arguments: [TypedExpression], isDistinct: Bool, filter: TypedExpression?,
        at location: Int?
    ) throws -> TypedExpression? {
        switch kind {
        case .stringAgg:
            guard arguments.count == 2, !isDistinct else {
                throw TranslationFault("string_agg takes a text and a separator, without DISTINCT", at: location)
            }
            let texts = try arguments.map { try coercion.coerce($0, to: .text, .implicit) }
            return TypedExpression(
                .aggregate(
                    Aggregate(kind: kind, argument: texts[0], separator: texts[1], isDistinct: false, filter: filter)),
                type: .text, at: location)
        case .arrayAgg, .jsonAgg, .jsonbAgg:
            guard var value = arguments.first, arguments.count == 1 else {
                throw TranslationFault("this aggregate takes one argument", at: location)
            }
            if value.type.isUnknown { value = try coercion.coerce(value, to: .text, .implicit) }
            guard kind != .arrayAgg || !value.type.isArray else {
                throw TranslationFault("array_agg of arrays is not translated", at: location)
            }
            let type: ColumnType =
                switch kind {
                case .arrayAgg: value.type.withoutModifiers.array
                case .jsonAgg: .json
                default: .jsonb
                }
            return TypedExpression(
                .aggregate(
                    Aggregate(kind: kind, argument: try json(of: value), isDistinct: isDistinct, filter: filter)),
                type: type, at: location)
        default: return nil
        }
    }
}

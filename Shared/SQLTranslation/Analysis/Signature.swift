// SPDX-License-Identifier: Apache-2.0

/// One overload of a function or operator of PostgreSQL that SQLite can compute truly.
struct Signature: Sendable {
    enum Volatility: Sendable {
        /// Same arguments, same answer, for ever: allowed in indexes and generated columns.
        case immutable
        /// Same answer within one statement.
        case stable
        case volatile
    }

    /// Name as a call spells it, in `pg_catalog` unless `schema` says otherwise; an operator's symbol for operators.
    let name: String
    let schema: String?
    let arguments: [ColumnType]
    /// Whether the last argument type repeats.
    let isVariadic: Bool
    let result: ColumnType
    /// SQLite's expression, with `%1`, `%2`, … for the arguments and `%*` for all of them behind each other.
    let template: String
    let volatility: Volatility
    /// Whether a NULL argument does not by itself make the answer NULL.
    let takesNull: Bool

    init(
        _ name: String, _ arguments: [ColumnType], _ result: ColumnType, _ template: String, schema: String? = nil,
        isVariadic: Bool = false, volatility: Volatility = .immutable, takesNull: Bool = false
    ) {
        self.name = name
        self.schema = schema
        self.arguments = arguments
        self.isVariadic = isVariadic
        self.result = result
        self.template = template
        self.volatility = volatility
        self.takesNull = takesNull
    }

    func argument(_ index: Int) -> ColumnType {
        index < arguments.count ? arguments[index] : arguments[arguments.count - 1]
    }

    func accepts(count: Int) -> Bool {
        isVariadic ? count >= arguments.count : count == arguments.count
    }

    /// The template with the arguments' SQL in it.
    func sql(_ arguments: [String]) -> String {
        var result = ""
        var isEscape = false
        for character in template {
            guard isEscape else {
                if character == "%" { isEscape = true } else { result.append(character) }
                continue
            }
            isEscape = false
            if character == "*" {
                result += arguments.joined(separator: ", ")
            } else if let digit = character.wholeNumberValue, digit >= 1, digit <= arguments.count {
                result += arguments[digit - 1]
            } else {
                result.append(character)
            }
        }
        return result
    }
}

extension Signature {
    /// Whether a value of `type` may stand where `target` is expected, without a cast in the text; and how far it is.
    ///
    /// 0 is the same type, nil is impossible. PostgreSQL's implicit casts, in its order of preference.
    static func distance(from type: ColumnType, to target: ColumnType) -> Int? {
        if type.isUnknown { return 0 }
        if type.isSame(as: target) { return 0 }
        guard !type.isArray, !target.isArray else {
            // varchar[] → text[] is a relabelling.
            return type.isArray && target.isArray && type.element.isText && target.element.isText ? 1 : nil
        }
        if type.isString, target.isString { return target.base == .text ? 1 : 2 }
        let numbers: [ColumnType.Base] = [.int2, .int4, .int8, .numeric, .float4, .float8]
        if let from = numbers.firstIndex(of: type.base), let to = numbers.firstIndex(of: target.base), from < to {
            // float8 is the preferred type of its kind.
            return target.base == .float8 ? 1 : 1 + to - from
        }
        let moments: [ColumnType.Base] = [.date, .timestamp, .timestamptz]
        if let from = moments.firstIndex(of: type.base), let to = moments.firstIndex(of: target.base), from < to {
            return target.base == .timestamptz ? 1 : 2
        }
        return nil
    }

    /// The overload that PostgreSQL would choose among `candidates`.
    ///
    /// Returns nil when none fits; throws `42725` when two fit equally well.
    static func choose(
        among candidates: [Signature], for types: [ColumnType], name: String, at location: Int?
    ) throws(TranslationFault) -> Signature? {
        var best: [Signature] = []
        var bestScore = (conversions: Int.max, distance: Int.max)
        for candidate in candidates where candidate.accepts(count: types.count) {
            var score = (conversions: 0, distance: 0)
            var fits = true
            for (index, type) in types.enumerated() {
                guard let distance = distance(from: type, to: candidate.argument(index)) else {
                    fits = false
                    break
                }
                if distance > 0 { score.conversions += 1 }
                score.distance += distance
                // Literals without a type prefer text.
                if type.isUnknown, !candidate.argument(index).isText { score.distance += 1 }
            }
            guard fits else { continue }
            if score < bestScore {
                best = [candidate]
                bestScore = score
            } else if score == bestScore {
                best.append(candidate)
            }
        }
        guard best.count > 1 else { return best.first }
        // PostgreSQL takes the type of the known sides for the unknown ones.
        let known = types.filter { !$0.isUnknown }
        if let type = known.first, known.allSatisfy({ $0.isSame(as: type) }) {
            let same = best.filter { candidate in candidate.arguments.allSatisfy { $0.isSame(as: type) } }
            if same.count == 1 { return same[0] }
        }
        throw TranslationFault("\(name) is not unique: add casts", at: location, sqlState: "42725")
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

extension PostgresStatement {
    /// Columns of a call's rows: the result as JSON text, whether there is one, and with a total the total.
    enum CallColumn {
        static let value = 0
        static let isPresent = 1
        static let total = 2
    }

    /// A call as one statement, which runs the function once.
    ///
    /// - Parameter withTotal: the whole result is counted, so that it is also made as a whole: without that a window
    ///   of no rows would leave the function's effects out. There is a row without a value then when the page is empty.
    mutating func call(_ plan: CallPlan, withTotal: Bool) -> String {
        let alias = makeAlias()
        let source = callSource(plan, alias: alias)
        if plan.function.result == .void { return "select 'null', true from \(source)" }
        let value = Self.callValue(plan.function.result)
        guard withTotal else {
            return "select \(value), true from (\(select(plan.rows, alias: alias, from: source, joining: nil))) as r"
        }
        let counted = makeAlias()
        let condition = condition(of: plan.rows, alias: counted)
        let shown = makeAlias()
        let page = select(plan.rows, alias: shown, from: "c as \(shown)", joining: nil)
        return """
            with c as materialized (select \(alias).* from \(source)) select x.v, x.p, n.t from \
            (select count(*)\(condition.map { " filter (where \($0))" } ?? "") as t from c as \(counted)) as n \
            left join lateral (select \(value) as v, true as p from (\(page)) as r) as x on true
            """
    }

    private static func callValue(_ result: DatabaseFunction.Result) -> String {
        if case .row = result { return "row_to_json(r.*)::text" }
        return "to_json(r.\(quote(CallPlan.valueColumn)))::text"
    }

    /// The function as an item of FROM.
    private mutating func callSource(_ plan: CallPlan, alias: String) -> String {
        let (arguments, before) = callArguments(plan)
        let call = "\(Self.quote(plan.function.name))(\(arguments.joined(separator: ", ")))"
        let column = Self.quote(CallPlan.valueColumn)
        switch plan.function.result {
        case .row, .void: return "\(before)\(call) as \(alias)"
        // In FROM the server would ask for the record's columns.
        case .value(let type) where type.isRecord: return "\(before)lateral (select \(call) as \(column)) as \(alias)"
        case .value: return "\(before)\(call) as \(alias)(\(column))"
        }
    }

    /// The list of arguments, and the items of FROM that it refers to.
    private mutating func callArguments(_ plan: CallPlan) -> (list: [String], before: String) {
        let parameters = plan.function.parameters
        switch plan.arguments {
        case .body(let bytes):
            let type = parameters[0].type
            let value = type.base == .bytea ? bind(.blob(bytes)) : bind(String(decoding: bytes, as: UTF8.self))
            return (["cast(\(value) as \(type.display))"], "")
        case .texts(let texts):
            var list: [String] = []
            for parameter in parameters {
                guard let values = texts[parameter.name], let last = values.last else { continue }
                let value = bind(parameter.isVariadic ? ArrayLiteral.text(of: values) : last)
                list.append(Self.argument(parameter, "cast(\(value) as \(parameter.type.display))"))
            }
            return (list, "")
        case .members(let object, let names):
            let given = parameters.filter { names.contains($0.name) }
            guard !given.isEmpty else { return ([], "") }
            let definitions = given.map { "\(Self.quote($0.name)) \($0.type.display)" }.joined(separator: ", ")
            let document = bind(JSONValue.object(object).text)
            return (
                given.map { Self.argument($0, "a.\(Self.quote($0.name))") },
                "json_to_record(\(document)) as a(\(definitions)), "
            )
        }
    }

    private static func argument(_ parameter: DatabaseFunction.Parameter, _ value: String) -> String {
        "\(parameter.isVariadic ? "variadic " : "")\(quote(parameter.name)) => \(value)"
    }
}

extension ColumnType {
    /// A row whose columns its function does not declare.
    fileprivate var isRecord: Bool { base == .other && display == "record" }
}

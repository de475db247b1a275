// SPDX-License-Identifier: Apache-2.0

import MartletSQL

extension Planner {
    /// - Parameter isRead: by GET or HEAD, which change nothing whatever the function says of itself.
    func callPlan(
        _ function: DatabaseFunction, _ arguments: CallArguments, _ query: ParsedQuery, page: PageRange,
        count: CountMode, isRead: Bool
    ) throws(RowError) -> CallPlan {
        var planner = self
        let relation: Relation
        if case .row(let columns, let source) = function.result {
            let own = source.flatMap(schema.exposedRelation)
            planner.isRootUnrelated = own == nil
            relation = own ?? Relation(name: function.name, kind: .view, columns: columns)
        } else {
            planner.isRootUnrelated = true
            relation = Relation(name: function.name, kind: .view, columns: [Self.valueColumn(function.result)])
        }
        var rows = try planner.rowSet(relation, PlanLevel(query), bounded: true)
        if case .row = function.result {} else { try Self.checkValue(rows.items, function.name.name) }
        rows.limit = function.returnsSet ? [page.limit, rowsMax].compactMap(\.self).min() : nil
        rows.offset = function.returnsSet ? page.offset : 0
        return CallPlan(
            function: function, arguments: arguments, rows: rows, count: count,
            isReadOnly: isRead || function.volatility != .volatile)
    }

    private static func valueColumn(_ result: DatabaseFunction.Result) -> Column {
        let type = if case .value(let type) = result { type } else { ColumnType(base: .other, display: "void") }
        return Column(name: CallPlan.valueColumn, type: type)
    }

    /// A value has no members that could be chosen.
    private static func checkValue(_ items: [SelectItem], _ function: String) throws(RowError) {
        if items.count == 1, case .column(let column) = items[0], column.key == CallPlan.valueColumn { return }
        throw RowError("42703", "column \(function).\(CallPlan.valueColumn) does not exist")
    }
}

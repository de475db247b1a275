// SPDX-License-Identifier: Apache-2.0

/// A subscription's filter: all of its conditions have to hold.
struct Filter: Sendable {
    let conditions: [FilterCondition]
    /// Labels of the columns that are enums, in their order.
    let labels: [String: [String]]

    /// - Parameter columns: of the table; nil for every table of a schema, where an unknown column matches nothing.
    init(_ text: String, columns: [FeedColumn]?) throws(FilterError) {
        conditions = try FilterParser.parse(text)
        var labels: [String: [String]] = [:]
        for column in columns ?? [] where !column.labels.isEmpty { labels[column.name] = column.labels }
        self.labels = labels
        guard let columns else { return }
        for condition in conditions {
            guard let column = columns.first(where: { $0.name == condition.column }) else {
                throw FilterError(reason: "the table has no column \(condition.column)")
            }
            if condition.comparison.needsOrder, !FilterValue.isOrdered(type: column.type, labels: column.labels) {
                throw FilterError(reason: "\(condition.comparison.rawValue) cannot compare \(column.type)")
            }
            for value in condition.values
            where FilterValue(value, type: column.type, labels: column.labels) == nil {
                throw FilterError(reason: "\(value) is no \(column.type)")
            }
        }
    }

    /// - Parameters:
    ///   - record: the row's members, as they may be shown.
    ///   - types: of the row's columns.
    func matches(_ record: [JSONSlices.Member], types: [String: String]) -> Bool {
        #if MUTANT_FEED_FILTER_IGNORED
            return true
        #else
            return conditions.allSatisfy { holds($0, record, types) }
        #endif
    }

    private func holds(
        _ condition: FilterCondition, _ record: [JSONSlices.Member], _ types: [String: String]
    ) -> Bool {
        guard let slice = record[condition.column], !JSONSlices.isNull(slice), let type = types[condition.column]
        else { return false }
        let labels = labels[condition.column] ?? []
        let text = JSONSlices.string(slice) ?? String(decoding: slice, as: UTF8.self)
        guard let value = FilterValue(text, type: type, labels: labels) else { return false }
        func compared(to other: String) -> Int? {
            FilterValue(other, type: type, labels: labels).flatMap { value.compared(to: $0) }
        }
        if condition.comparison == .oneOf { return condition.values.contains { compared(to: $0) == 0 } }
        guard let order = condition.values.first.flatMap(compared) else { return false }
        return switch condition.comparison {
        case .equal, .oneOf: order == 0
        case .notEqual: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        case .greaterOrEqual: order >= 0
        }
    }
}

/// A column as data describes it.
struct FeedColumn: Sendable, Equatable {
    let name: String
    let type: String
    /// Of an enum.
    var labels: [String] = []
}

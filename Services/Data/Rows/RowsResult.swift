// SPDX-License-Identifier: Apache-2.0

/// What a plan brought, before it becomes an HTTP answer.
package struct RowsResult: Sendable, Equatable {
    /// The rows as a JSON array without white space between rows or members: `[{"a":1,"b":"x"},{"a":2,"b":null}]`.
    /// Empty (no byte) for a write without representation. Both engines write the same bytes for the same rows.
    package var body: [UInt8]
    /// Rows of the page; on writes the rows that were affected.
    package var rowCount: Int
    /// Rows that match the root filter without limit and offset; nil when nobody asked.
    package var total: Int64?
    /// Rows of an upsert that were new.
    package var insertedCount: Int
    /// With `wantsLocation` and exactly one row: its primary key, columns with their values as PostgreSQL text.
    package var location: [(column: String, value: String?)]

    package init(
        body: [UInt8] = [], rowCount: Int = 0, total: Int64? = nil, insertedCount: Int = 0,
        location: [(column: String, value: String?)] = []
    ) {
        self.body = body
        self.rowCount = rowCount
        self.total = total
        self.insertedCount = insertedCount
        self.location = location
    }

    package static func == (left: RowsResult, right: RowsResult) -> Bool {
        left.body == right.body && left.rowCount == right.rowCount && left.total == right.total
            && left.insertedCount == right.insertedCount
            && left.location.elementsEqual(right.location, by: { $0.column == $1.column && $0.value == $1.value })
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletSQL

/// A read, checked against the schema cache: every name in it exists.
package struct ReadPlan: Sendable, Equatable {
    package var rows: RowSet
    package var count: CountMode
    /// Members whose value is null are left out, also in embedded objects (10.5).
    package var stripsNulls: Bool
    /// What every name and type in it was taken from; nil when it was put together by hand. No part of what it says.
    var schema: SchemaCache?

    package static func == (left: ReadPlan, right: ReadPlan) -> Bool {
        left.rows == right.rows && left.count == right.count && left.stripsNulls == right.stripsNulls
    }

    package init(rows: RowSet, count: CountMode = .none, stripsNulls: Bool = false) {
        self.rows = rows
        self.count = count
        self.stripsNulls = stripsNulls
    }
}

/// Rows of one relation: the root of a read, or what an embed shows.
package struct RowSet: Sendable, Equatable {
    package var relation: QualifiedName
    /// Members of each row's object, in this order. Never empty at the root.
    package var items: [SelectItem]
    /// Nil: every row.
    package var filter: LogicTree?
    /// Empty: the order is the engine's. A relation's rows come in no promised order then.
    package var order: [OrderTerm]
    /// Nil: no limit. Never negative.
    package var limit: Int64?
    package var offset: Int64

    package init(
        relation: QualifiedName, items: [SelectItem], filter: LogicTree? = nil, order: [OrderTerm] = [],
        limit: Int64? = nil, offset: Int64 = 0
    ) {
        self.relation = relation
        self.items = items
        self.filter = filter
        self.order = order
        self.limit = limit
        self.offset = offset
    }
}

/// One item of `select`.
package indirect enum SelectItem: Sendable, Equatable {
    case column(SelectedColumn)
    case embed(Embed)
    /// The legacy `count` column (5.2): the only item of its level, so that the level has one row.
    case rowCount(key: String)
}

/// A column as a member of the row's object. `*` is expanded by the planner, in the table's order.
package struct SelectedColumn: Sendable, Equatable {
    /// Key in the result. The same key may occur twice (5.1).
    package var key: String
    package var field: FieldReference
    /// The type named by `::type`, spelled as the client did; nil without a cast.
    package var cast: String?

    package init(key: String, field: FieldReference, cast: String? = nil) {
        self.key = key
        self.field = field
        self.cast = cast
    }
}

/// A related resource inside the row (6).
package struct Embed: Sendable, Equatable {
    /// Key in the result: the alias, or the target as written.
    package var key: String
    package var relationship: Relationship
    /// `!inner`: rows without a match drop out.
    package var isInner: Bool
    /// `orders()`: it joins, but adds no member.
    package var isHidden: Bool
    package var rows: RowSet

    package init(
        key: String, relationship: Relationship, isInner: Bool = false, isHidden: Bool = false, rows: RowSet
    ) {
        self.key = key
        self.relationship = relationship
        self.isInner = isInner
        self.isHidden = isHidden
        self.rows = rows
    }
}

/// One term of `order`.
package struct OrderTerm: Sendable, Equatable {
    package var field: FieldReference
    package var isDescending: Bool
    /// The default is already applied: last when ascending, first when descending (8).
    package var nullsFirst: Bool
    /// Position in `items` of the to-one embed whose column orders the rows; nil for the rows' own column.
    package var embedItem: Int?

    package init(field: FieldReference, isDescending: Bool = false, nullsFirst: Bool, embedItem: Int? = nil) {
        self.field = field
        self.isDescending = isDescending
        self.nullsFirst = nullsFirst
        self.embedItem = embedItem
    }
}

/// `Prefer: count=`. `planned` and `estimated` are answered by the exact number (9.4).
package enum CountMode: Sendable, Equatable {
    case none
    case exact
}

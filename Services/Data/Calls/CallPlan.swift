// SPDX-License-Identifier: Apache-2.0

package import MartletJSON
package import MartletSQL

/// A call of a function of the database, checked against the schema cache (rest contract 12).
package struct CallPlan: Sendable, Equatable {
    /// Name of the only column of a result that has none.
    package static let valueColumn = "pgrst_scalar"

    package var function: DatabaseFunction
    package var arguments: CallArguments
    /// What is shown of the result, as if it were a relation: columns, embeds, filter, order, window. A result without
    /// columns is one of the column `valueColumn`, and shows it alone.
    package var rows: RowSet
    package var count: CountMode
    /// The call may change nothing: by GET and HEAD, and for functions that say that they do not.
    package var isReadOnly: Bool

    package init(
        function: DatabaseFunction, arguments: CallArguments, rows: RowSet, count: CountMode = .none,
        isReadOnly: Bool = false
    ) {
        self.function = function
        self.arguments = arguments
        self.rows = rows
        self.count = count
        self.isReadOnly = isReadOnly
    }
}

/// Arguments of a call. Each name is one of the function's parameters; those that are missing have a default.
package enum CallArguments: Sendable, Equatable {
    /// Texts in the database's form of their type. Of several the last counts, except where the parameter is variadic
    /// and takes each as an element.
    case texts([String: [String]])
    /// Members by name; `names` may hold one that the object lacks, which is null then.
    case members(JSONObject, names: [String])
    /// A request's whole body, as the only and unnamed argument.
    case body([UInt8])
}

/// What a call brought, before it becomes an HTTP answer.
package struct CallResult: Sendable, Equatable {
    /// Values or rows as a JSON array, as of a read; of a void function it holds one null.
    package var rows: RowsResult
    /// What the function set as `response.status` and `response.headers`; empty: nothing.
    package var status: String
    package var headers: String

    package init(rows: RowsResult, status: String = "", headers: String = "") {
        self.rows = rows
        self.status = status
        self.headers = headers
    }
}

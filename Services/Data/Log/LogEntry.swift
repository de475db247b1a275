// SPDX-License-Identifier: Apache-2.0

/// The log's streams.
package enum LogStream {
    /// Changes of published tables, and of the schema.
    package static let rows = "rows"
    /// Reserved for changes of `auth.*`, which only the authentication service may see (data-semantics 16).
    package static let auth = "auth"
}

/// One entry of the change log (D31).
package struct LogEntry: Sendable, Equatable {
    package var sequence: Int64
    /// A UUID of version 7.
    package var id: String
    package var type: String
    /// The primary key's values as a JSON array; empty without one.
    package var key: String
    /// µs since 1970 UTC.
    package var time: Int64
    /// Equal for all entries of one request.
    package var transaction: String
    /// A JSON object.
    package var headers: String
    package var body: [UInt8]

    /// What an entry counts beside its body in `log_bytes_max`, in bytes: ids, key, headers and the row around them.
    static let overheadBytes: Int64 = 200

    var bytes: Int64 { Int64(body.count) + Self.overheadBytes }
}

/// Where a stream's log stands.
package struct LogHead: Sendable, Equatable {
    package var epoch: Int64
    /// The last sequence; 0 before the first entry.
    package var head: Int64
    /// The last sequence that was removed.
    package var trimmed: Int64
    package var bytes: Int64

    package init(epoch: Int64, head: Int64, trimmed: Int64, bytes: Int64) {
        self.epoch = epoch
        self.head = head
        self.trimmed = trimmed
        self.bytes = bytes
    }
}

/// The answer to a pull.
package enum LogPull: Sendable, Equatable {
    case entries([LogEntry], LogHead)
    /// What follows the cursor is not here: the consumer reads the state anew and goes on at the head.
    case snapshotRequired(LogHead)
}

/// Kinds of entries.
enum LogEntryType {
    static let insert = "row.insert"
    static let update = "row.update"
    static let delete = "row.delete"
    static let truncate = "row.truncate"
    static let schemaChanged = "data.schema.changed"
}

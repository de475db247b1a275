// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// One change of a row, from the log.
struct RowChange: Sendable {
    let sequence: UInt64
    let schema: String
    let table: String
    /// `INSERT`, `UPDATE` or `DELETE`.
    let event: String
    let microseconds: Int64
    let columns: [FeedColumn]
    let rawColumns: [Slice]
    let key: [String]
    let isFull: Bool
    let record: [JSONSlices.Member]
    let oldRecord: [JSONSlices.Member]
    let bodyBytes: Int
    /// Of its columns; asked for by every subscription, so made once.
    let types: [String: String]

    /// Nil for an entry that is no change of a row.
    init?(sequence: UInt64, headers: String, microseconds: Int64, body: [UInt8]) {
        guard let headers = JSONSlices.document(Array(headers.utf8)).flatMap(JSONSlices.members),
            let schema = headers["schema"].flatMap(JSONSlices.string),
            let table = headers["table"].flatMap(JSONSlices.string),
            let event = headers["op"].flatMap(JSONSlices.string), ["INSERT", "UPDATE", "DELETE"].contains(event),
            let members = JSONSlices.document(body).flatMap(JSONSlices.members),
            let rawColumns = members["columns"].flatMap(JSONSlices.elements)
        else { return nil }
        self.sequence = sequence
        self.schema = schema
        self.table = table
        self.event = event
        self.microseconds = microseconds
        self.rawColumns = rawColumns
        columns = rawColumns.compactMap { column in
            guard let column = JSONSlices.members(of: column), let name = column["name"].flatMap(JSONSlices.string),
                let type = column["type"].flatMap(JSONSlices.string)
            else { return nil }
            return FeedColumn(name: name, type: type)
        }
        guard columns.count == rawColumns.count else { return nil }
        key = (members["key"].flatMap(JSONSlices.elements) ?? []).compactMap(JSONSlices.string)
        isFull = members["full"].flatMap(JSONSlices.bool) ?? false
        record = members["record"].flatMap(JSONSlices.members) ?? []
        oldRecord = members["old_record"].flatMap(JSONSlices.members) ?? []
        bodyBytes = body.count
        types = Dictionary(columns.map { ($0.name, $0.type) }) { first, _ in first }
    }

    /// The row that a filter is about.
    var filtered: [JSONSlices.Member] { event == "DELETE" ? oldRecord : record }
}

/// What somebody may see of a change.
struct ChangeShape: Hashable, Sendable {
    /// The columns; nil for all.
    var mask: Set<String>?
    /// Not even the key.
    var isDenied = false
    var hasRowSecurity = false
}

/// What one shape of a change looks like to clients (RT-50).
struct ChangeMessage {
    /// Above this, only short values go out, in bytes.
    static let recordBytesMax = 1_048_576
    /// What a short value is then, in bytes.
    static let shortValueBytesMax = 64

    let change: RowChange
    let shape: ChangeShape

    var isTooLarge: Bool { change.bodyBytes > Self.recordBytesMax }

    /// The members of the row that a filter may look at: nothing that is not shown.
    var filtered: [JSONSlices.Member] {
        change.event == "DELETE" ? old.filter(isReadable) : change.record.filter(isReadable)
    }

    /// `{"ids":…,"data":…}`.
    func payload(ids: [UInt64]) -> [UInt8] {
        var text = Array(#"{"ids":["#.utf8)
        text.append(contentsOf: ids.map(String.init).joined(separator: ",").utf8)
        text.append(contentsOf: #"],"data":{"schema":"#.utf8)
        JSONText.appendString(change.schema, to: &text)
        text.append(contentsOf: #","table":"#.utf8)
        JSONText.appendString(change.table, to: &text)
        text.append(contentsOf: #","type":"\#(change.event)","commit_timestamp":"#.utf8)
        JSONText.appendString(Moment.text(microseconds: change.microseconds), to: &text)
        text.append(contentsOf: #","columns":["#.utf8)
        var isFirst = true
        for (column, raw) in zip(change.columns, change.rawColumns) where shape.mask?.contains(column.name) != false {
            if !isFirst { text.append(UInt8(ascii: ",")) }
            isFirst = false
            text.append(contentsOf: raw)
        }
        text.append(UInt8(ascii: "]"))
        let error = error
        if error == nil || isTooLargeOnly {
            if change.event != "DELETE" { append("record", shown(change.record), to: &text) }
            if change.event != "INSERT" { append("old_record", shown(old), to: &text) }
        }
        text.append(contentsOf: #","errors":"#.utf8)
        text.append(contentsOf: (error.map { #"["\#($0)"]"# } ?? "null").utf8)
        text.append(contentsOf: "}}".utf8)
        return text
    }

    private var error: String? {
        if change.key.isEmpty { return "Error 400: Bad Request, no primary key" }
        if shape.isDenied { return "Error 401: Unauthorized" }
        return isTooLarge ? "Error 413: Payload Too Large" : nil
    }

    private var isTooLargeOnly: Bool { isTooLarge && !change.key.isEmpty && !shape.isDenied }

    /// Of an old row only the key, unless the table shows it whole and no policy could have hidden it.
    private var old: [JSONSlices.Member] {
        let isWhole = change.isFull && !shape.hasRowSecurity
        return isWhole ? change.oldRecord : change.oldRecord.filter { change.key.contains($0.key) }
    }

    private func isReadable(_ member: JSONSlices.Member) -> Bool { shape.mask?.contains(member.key) != false }

    private func shown(_ members: [JSONSlices.Member]) -> [JSONSlices.Member] {
        members.filter { isReadable($0) && (!isTooLarge || $0.value.count <= Self.shortValueBytesMax) }
    }

    private func append(_ name: String, _ members: [JSONSlices.Member], to text: inout [UInt8]) {
        text.append(contentsOf: ",\"\(name)\":{".utf8)
        for (position, member) in members.enumerated() {
            if position > 0 { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: member.rawKey)
            text.append(UInt8(ascii: ":"))
            text.append(contentsOf: member.value)
        }
        text.append(UInt8(ascii: "}"))
    }
}

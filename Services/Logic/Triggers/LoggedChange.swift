// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

/// One change of a row, as an entry of data's log tells it.
struct LoggedChange: Sendable, Equatable {
    let id: String
    let schema: String
    let table: String
    /// `INSERT`, `UPDATE` or `DELETE`.
    let operation: String
    /// The primary key's values as a JSON array; empty without one.
    let key: String
    let time: Moment
    /// The rows were too long for the log, which holds their keys alone.
    let isCut: Bool
    /// The request that made the change.
    let trace: TraceContext
    /// JSON objects.
    let record: ArraySlice<UInt8>?
    let oldRecord: ArraySlice<UInt8>?

    /// Nil for an entry that is no change of a row.
    init?(id: String, headers: String, key: String, microseconds: Int64, body: [UInt8]) {
        guard let headers = try? JSONValue(parsing: headers), let schema = headers["schema"]?.stringValue,
            let table = headers["table"]?.stringValue, let operation = headers["op"]?.stringValue,
            ["INSERT", "UPDATE", "DELETE"].contains(operation)
        else { return nil }
        self.id = id
        self.schema = schema
        self.table = table
        self.operation = operation
        self.key = key
        time = Moment(microseconds: microseconds)
        isCut = headers["cut"]?.boolValue ?? false
        trace = TraceContext(
            givenRequestID: headers["request_id"]?.stringValue, givenTraceparent: headers["traceparent"]?.stringValue)
        let members = Self.members(of: body)
        record = members["record"]
        oldRecord = members["old_record"]
    }

    /// The members of the outer object as they stand there. The log's own text is well formed; of anything else the
    /// result is a part, never a trap. Nothing recurses, so the rows may nest as deeply as the database lets them.
    private static func members(of body: [UInt8]) -> [String: ArraySlice<UInt8>] {
        var members: [String: ArraySlice<UInt8>] = [:]
        var (depth, isText, isEscaped) = (0, false, false)
        var (start, name) = (1, "")
        for (position, byte) in body.enumerated() {
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ":") where depth == 1 && name.isEmpty:
                // The outer names are the log's own words, without escapes.
                name = String(
                    decoding: body[start..<position].filter { $0 != UInt8(ascii: "\"") && $0 != 0x20 }, as: UTF8.self)
                start = position + 1
            case UInt8(ascii: ",") where depth == 1, UInt8(ascii: "}"):
                if depth == 1, !name.isEmpty {
                    members[name] = body[start..<position]
                    (start, name) = (position + 1, "")
                }
                if byte == UInt8(ascii: "}") { depth -= 1 }
            default: break
            }
        }
        return members
    }
}

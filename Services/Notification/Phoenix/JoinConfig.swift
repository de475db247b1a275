// SPDX-License-Identifier: Apache-2.0

/// What `phx_join` asks for (RT-20). A part that cannot be read counts as absent: no join is refused for it.
struct JoinConfig: Sendable {
    /// One entry of `postgres_changes`.
    struct Change: Sendable {
        /// As it was sent; the reply repeats it.
        let raw: Slice
        /// `INSERT`, `UPDATE`, `DELETE` or `*`.
        let event: String
        let schema: String
        /// `*` for every table of the schema.
        let table: String
        let filter: String
        /// Whether it names columns, which this version does not cut to.
        let selectsColumns: Bool

        /// A number for the entry that equal entries share, within the 53 bits of a JavaScript number.
        var id: UInt64 {
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for part in [schema, table, event, filter] {
                for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
                // No text holds this byte, so that parts cannot run into each other.
                hash = (hash ^ 0xFF) &* 0x100_0000_01b3
            }
            return hash >> 11
        }
    }

    var acknowledgesBroadcasts = false
    var receivesOwnBroadcasts = false
    /// Empty: the server makes one.
    var presenceKey = ""
    var presenceIsEnabled = false
    var changes: [Change] = []
    var isPrivate = false
    /// Nil: the connection's key.
    var accessToken: String?

    init() {}

    /// - Parameter payload: a JSON value.
    init(payload: Slice) {
        let payload = JSONSlices.members(of: payload) ?? []
        accessToken =
            (payload["access_token"].flatMap(JSONSlices.string))
            ?? payload["user_token"].flatMap(JSONSlices.string)
        guard let config = payload["config"].flatMap(JSONSlices.members) else { return }
        if let broadcast = config["broadcast"].flatMap(JSONSlices.members) {
            acknowledgesBroadcasts = broadcast["ack"].flatMap(JSONSlices.bool) ?? false
            receivesOwnBroadcasts = broadcast["self"].flatMap(JSONSlices.bool) ?? false
        }
        if let presence = config["presence"].flatMap(JSONSlices.members) {
            presenceIsEnabled = presence["enabled"].flatMap(JSONSlices.bool) ?? false
            presenceKey = presence["key"].flatMap(Self.scalar) ?? ""
        }
        isPrivate = config["private"].flatMap(JSONSlices.bool) ?? false
        changes = (config["postgres_changes"].flatMap(JSONSlices.elements) ?? []).compactMap(Self.change)
    }

    /// The text of a string or a number.
    private static func scalar(_ slice: Slice) -> String? {
        if let text = JSONSlices.string(slice) { return text }
        switch slice.first {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"), nil:
            return nil
        default: return String(decoding: slice, as: UTF8.self)
        }
    }

    private static func change(_ raw: Slice) -> Change? {
        guard let members = JSONSlices.members(of: raw) else { return nil }
        let event = members["event"].flatMap(JSONSlices.string)?.uppercased() ?? "*"
        return Change(
            raw: raw, event: ["INSERT", "UPDATE", "DELETE"].contains(event) ? event : "*",
            schema: members["schema"].flatMap(JSONSlices.string) ?? "public",
            table: members["table"].flatMap(JSONSlices.string) ?? "*",
            filter: members["filter"].flatMap(JSONSlices.string) ?? "",
            selectsColumns: members["select"].map { !JSONSlices.isNull($0) } ?? false)
    }

    /// The response of the join: every entry as it came, with its number.
    var response: [UInt8] {
        var response = Array(#"{"postgres_changes":["#.utf8)
        for (position, change) in changes.enumerated() {
            if position > 0 { response.append(UInt8(ascii: ",")) }
            response.append(contentsOf: change.raw.dropLast())
            let isEmpty = JSONSlices.members(of: change.raw)?.isEmpty ?? true
            response.append(contentsOf: "\(isEmpty ? "" : ",")\"id\":\(change.id)}".utf8)
        }
        response.append(contentsOf: "]}".utf8)
        return response
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// Who is present in one channel (RT-40). Pure: each change says what to announce.
struct PresenceTable {
    /// What to announce: members by key, each a JSON text.
    struct Difference: Equatable {
        var joins: [(key: String, meta: [UInt8])] = []
        var leaves: [(key: String, meta: [UInt8])] = []

        static func == (left: Difference, right: Difference) -> Bool {
            left.joins.elementsEqual(right.joins, by: ==) && left.leaves.elementsEqual(right.leaves, by: ==)
        }
    }

    private struct Presence {
        let member: Int
        let reference: String
        /// As the client sent it.
        let content: [UInt8]
        /// As it was announced.
        let meta: [UInt8]
    }

    private var presences: [String: [Presence]] = [:]
    private var keys: [Int: String] = [:]

    var isEmpty: Bool { presences.isEmpty }

    /// Announces a member, or what is new about it; nil when nothing is.
    ///
    /// - Parameters:
    ///   - content: a JSON object.
    ///   - reference: never used in this channel before.
    mutating func track(
        member: Int, key: String, content: Slice, reference: @autoclosure () -> String
    ) -> Difference? {
        guard let known = keys[member], let place = presences[known]?.firstIndex(where: { $0.member == member }),
            let old = presences[known]?[place]
        else {
            let made = Self.presence(member, content, reference: reference(), previous: nil)
            keys[member] = key
            presences[key, default: []].append(made)
            return Difference(joins: [(key, made.meta)])
        }
        if old.content.elementsEqual(content) { return nil }
        let made = Self.presence(member, content, reference: reference(), previous: old.reference)
        presences[known]?[place] = made
        return Difference(joins: [(known, made.meta)], leaves: [(known, old.meta)])
    }

    /// Ends a member's presence; nil if it had none.
    mutating func end(member: Int) -> Difference? {
        guard let key = keys.removeValue(forKey: member),
            let place = presences[key]?.firstIndex(where: { $0.member == member }),
            let old = presences[key]?.remove(at: place)
        else { return nil }
        if presences[key]?.isEmpty == true { presences[key] = nil }
        return Difference(leaves: [(key, old.meta)])
    }

    /// The payload of `presence_state`.
    var state: [UInt8] {
        Self.object(
            presences.sorted { $0.key < $1.key }.map { (key: $0.key, metas: $0.value.map(\.meta)) })
    }

    private static let reserved: Set<String> = ["phx_ref", "phx_ref_prev"]

    /// `{"phx_ref":…,"phx_ref_prev":…}` and the members of `content`.
    private static func presence(
        _ member: Int, _ content: Slice, reference: String, previous: String?
    ) -> Presence {
        var meta = Array(#"{"phx_ref":"\#(reference)""#.utf8)
        if let previous { meta.append(contentsOf: #","phx_ref_prev":"\#(previous)""#.utf8) }
        for element in JSONSlices.members(of: content) ?? [] where !reserved.contains(element.key) {
            meta.append(UInt8(ascii: ","))
            meta.append(contentsOf: element.rawKey)
            meta.append(UInt8(ascii: ":"))
            meta.append(contentsOf: element.value)
        }
        meta.append(UInt8(ascii: "}"))
        return Presence(member: member, reference: reference, content: Array(content), meta: meta)
    }

    /// `{key:{"metas":[…]},…}`.
    fileprivate static func object(_ entries: [(key: String, metas: [[UInt8]])]) -> [UInt8] {
        var text: [UInt8] = [UInt8(ascii: "{")]
        for (position, entry) in entries.enumerated() {
            if position > 0 { text.append(UInt8(ascii: ",")) }
            JSONText.appendString(entry.key, to: &text)
            text.append(contentsOf: #":{"metas":["#.utf8)
            for (place, meta) in entry.metas.enumerated() {
                if place > 0 { text.append(UInt8(ascii: ",")) }
                text.append(contentsOf: meta)
            }
            text.append(contentsOf: "]}".utf8)
        }
        text.append(UInt8(ascii: "}"))
        return text
    }
}

extension PresenceTable.Difference {
    /// The payload of `presence_diff`.
    var payload: [UInt8] {
        Array(#"{"joins":"#.utf8) + PresenceTable.object(Self.grouped(joins)) + Array(#","leaves":"#.utf8)
            + PresenceTable.object(Self.grouped(leaves)) + [UInt8(ascii: "}")]
    }

    private static func grouped(_ metas: [(key: String, meta: [UInt8])]) -> [(key: String, metas: [[UInt8]])] {
        if metas.count <= 1 { return metas.map { ($0.key, [$0.meta]) } }
        return Dictionary(grouping: metas, by: \.key).sorted { $0.key < $1.key }
            .map { ($0.key, $0.value.map(\.meta)) }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

extension Hub {
    private static let noMap = Payloads.refusal("Presence track payload must be a map")

    /// A member's `presence` message (RT-40).
    func presence(_ payload: Slice, _ envelope: Envelope, _ member: Member) {
        guard member.presenceCalls.note(second: clock.unixSeconds()) <= limits.presenceCallsMax else {
            expel(member, "Client presence rate limit exceeded")
            return
        }
        let members = JSONSlices.members(of: payload) ?? []
        switch members["event"].flatMap(JSONSlices.string)?.lowercased() {
        case "track":
            guard let content = members["payload"], JSONSlices.isObject(content) else {
                reply(Self.noMap, to: envelope, member.socket)
                return
            }
            guard content.count <= HubLimits.trackBytesMax else {
                expel(member, "Track message size exceeded")
                return
            }
            reply(Payloads.ok, to: envelope, member.socket)
            track(content, member)
        case "untrack":
            reply(Payloads.ok, to: envelope, member.socket)
            if let difference = member.channel.presence.end(member: member.id) {
                announce(difference, in: member.channel)
            }
        default: metrics.dropped.increment()
        }
    }

    private func track(_ content: Slice, _ member: Member) {
        let channel = member.channel
        let enables = !member.presenceIsEnabled
        member.presenceIsEnabled = true
        // Before the change: the state must not hold what the difference behind it says again (RT-41).
        #if !MUTANT_PRESENCE_STATE_LATE
            if enables { sendPresenceState(to: member) }
        #endif
        let difference = channel.presence.track(
            member: member.id, key: member.presenceKey, content: content, reference: nextPresenceReference())
        #if MUTANT_PRESENCE_STATE_LATE
            if enables { sendPresenceState(to: member) }
        #endif
        if let difference { announce(difference, in: channel) }
    }

    func sendPresenceState(to member: Member) { push("presence_state", member.channel.presence.state, to: member) }

    /// Tells everybody in the channel who wants to know.
    func announce(_ difference: PresenceTable.Difference, in channel: Channel) {
        let payload = difference.payload
        fanOut(to: channel.members.lazy.filter(\.presenceIsEnabled)) { serializer in
            .text(
                EnvelopeWriter.push(
                    serializer, topic: channel.key.topic, event: "presence_diff", payload: payload))
        }
    }
}

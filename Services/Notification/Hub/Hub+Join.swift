// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletServiceKit

extension Hub {
    /// A client wants to join a topic (RT-20).
    func join(_ envelope: Envelope, _ socket: Socket) {
        guard admitJoin(envelope, socket) else { return }
        let topic = envelope.topic
        guard topic.hasPrefix(ChannelKey.prefix) else { return refuse("unmatched topic", envelope, socket) }
        guard topic.utf8.count > ChannelKey.prefix.utf8.count else {
            return refuse("TopicNameRequired: You must provide a topic name", envelope, socket)
        }
        if let old = socket.members[topic] {
            sayClosed(old)
            remove(old)
        }
        // Joins that wait count too: each of them may come to be a channel.
        socket.pendingJoins[topic] = nil
        guard socket.members.count + socket.pendingJoins.count < limits.channelsPerSocketMax else {
            return refuse("ChannelRateLimitReached: Too many channels", envelope, socket)
        }
        guard case .json(let payload) = envelope.content else {
            return refuse("UnknownErrorOnChannel: The join is no JSON", envelope, socket)
        }
        let config = JoinConfig(payload: payload)
        switch grant(for: config.accessToken, socket) {
        case .success(let grant): enter(envelope, config, grant, socket)
        case .failure(.fault(let reason)): refuse(reason, envelope, socket)
        case .failure(.unknownKey):
            let ticket = nextNumber()
            socket.pendingJoins[topic] = ticket
            waitForKeys(.join(socket, envelope, config, ticket: ticket))
        }
    }

    /// The second half, when it is known for whom.
    func enter(_ envelope: Envelope, _ config: JoinConfig, _ grant: Grant, _ socket: Socket) {
        let key = ChannelKey(
            name: String(envelope.topic.dropFirst(ChannelKey.prefix.count)), isPrivate: config.isPrivate)
        guard !config.isPrivate || Self.mayJoinPrivate(grant) else {
            return refuse(
                "Unauthorized: You do not have permissions to read from this Channel topic: \(key.name)", envelope,
                socket)
        }
        let member = Member(
            id: nextNumber(), socket: socket, channel: channel(key), joinReference: envelope.joinReference,
            config: config, grant: grant)
        if member.presenceKey.isEmpty { member.presenceKey = Self.randomKey() }
        socket.members[envelope.topic] = member
        member.channel.insert(member)
        metrics.members.add(1)
        reply(Payloads.ok(response: config.response), to: envelope, socket)
        if member.presenceIsEnabled { sendPresenceState(to: member) }
        attach(member)
    }

    func refuse(_ reason: String, _ envelope: Envelope, _ socket: Socket) {
        metrics.refusedJoins.increment()
        reply(Payloads.refusal(reason), to: envelope, socket)
    }

    /// Counts the join; false when there are too many within this second (RT-72).
    private func admitJoin(_ envelope: Envelope, _ socket: Socket) -> Bool {
        let second = clock.unixSeconds()
        let ofSocket = socket.joins.note(second: second)
        let isAllowed = ofSocket <= limits.socketJoinsPerSecond
        // Refused ones do not count against the others.
        if isAllowed, joins.note(second: second) <= limits.joinsPerSecond { return true }
        refuse("ClientJoinRateLimitReached: Too many joins per second", envelope, socket)
        if ofSocket >= limits.socketJoinsPerSecond * HubLimits.joinFloodFactor {
            close(socket, code: 1_008, "Too many joins per second")
        }
        return false
    }

    /// A random UUID, for a member without a presence key.
    private static func randomKey() -> String {
        func digits(_ value: UInt64, _ count: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let high = UInt64.random(in: .min ... .max)
        let low = UInt64.random(in: .min ... .max)
        let versioned = digits(high >> 32, 8) + "-" + digits(high >> 16 & 0xFFFF, 4) + "-4" + digits(high & 0xFFF, 3)
        return versioned + "-" + digits(low >> 48 & 0x3FFF | 0x8000, 4) + "-" + digits(low & 0xFFFF_FFFF_FFFF, 12)
    }
}

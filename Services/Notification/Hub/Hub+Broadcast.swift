// SPDX-License-Identifier: Apache-2.0

extension Envelope.Broadcast {
    private static let noPayload = Array("{}".utf8)[...]

    /// What the payload of a text frame says; nil without an event.
    init?(payload: Slice) {
        guard let members = JSONSlices.members(of: payload), let event = members["event"].flatMap(JSONSlices.string)
        else { return nil }
        self.init(event: event, isBinary: false, payload: members["payload"] ?? Self.noPayload)
    }
}

extension Hub {
    /// A member's broadcast to the others (RT-30).
    func broadcast(_ broadcast: Envelope.Broadcast, _ envelope: Envelope, _ member: Member) {
        let acknowledges = member.config.acknowledgesBroadcasts
        guard broadcast.payload.count <= limits.broadcastBytesMax else {
            if acknowledges {
                reply(Payloads.refusal(member: "error", "payload_size_exceeded"), to: envelope, member.socket)
            }
            return
        }
        distribute(broadcast, in: member.channel, butTo: member.config.receivesOwnBroadcasts ? nil : member)
        if acknowledges { reply(Payloads.ok, to: envelope, member.socket) }
    }

    /// A broadcast from outside to everybody in a channel.
    func broadcast(_ broadcast: Envelope.Broadcast, to key: ChannelKey) {
        if let channel = channels[key] { distribute(broadcast, in: channel, butTo: nil) }
    }

    private func distribute(_ broadcast: Envelope.Broadcast, in channel: Channel, butTo sender: Member?) {
        let topic = channel.key.topic
        fanOut(to: channel.members.lazy.filter { $0 !== sender }) { serializer in
            switch serializer {
            case .one:
                if broadcast.isBinary { return nil }
                return .text(EnvelopeWriter.broadcast(.one, topic: topic, broadcast))
            case .two:
                if let frame = BinaryFrame.userBroadcast(topic: topic, broadcast) { return .binary(frame) }
                // Names too long for a binary frame; a binary payload has no text to be.
                return broadcast.isBinary ? nil : .text(EnvelopeWriter.broadcast(.two, topic: topic, broadcast))
            }
        }
    }

    /// Whether messages from outside still fit into the rate; notes them.
    func admitMessages(_ count: Int) -> Bool {
        let second = clock.unixSeconds()
        for _ in 0..<count
        where messages.note(second: second) > limits.messagesPerSecond * HubLimits.messageWindowSeconds {
            return false
        }
        return true
    }

    /// Messages of `POST /api/broadcast`; false when there are too many.
    func publish(_ posted: [(key: ChannelKey, broadcast: Envelope.Broadcast)]) -> Bool {
        guard admitMessages(posted.count) else { return false }
        for message in posted { broadcast(message.broadcast, to: message.key) }
        flush()
        return true
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

extension Hub {
    private static let unmatchedTopic = Payloads.refusal("unmatched topic")

    /// What a client says (section 3 of the contract).
    func take(_ bytes: [UInt8], isBinary: Bool, _ socket: Socket) {
        let envelope: Envelope?
        switch (isBinary, socket.serializer) {
        case (false, let serializer): envelope = EnvelopeReader.read(bytes, serializer)
        case (true, .two): envelope = BinaryFrame.read(bytes)
        case (true, .one): envelope = nil
        }
        guard let envelope else {
            metrics.dropped.increment()
            return
        }
        switch envelope.event {
        case "heartbeat" where envelope.topic == "phoenix": reply(Payloads.ok, to: envelope, socket)
        case "phx_join": join(envelope, socket)
        case "phx_leave": leave(envelope, socket)
        default:
            guard let member = socket.members[envelope.topic] else {
                reply(Self.unmatchedTopic, to: envelope, socket)
                return
            }
            guard isCurrent(envelope, member) else { return }
            take(envelope, member)
        }
    }

    private func take(_ envelope: Envelope, _ member: Member) {
        if case .opaque = envelope.content {
            reply(Payloads.refusal("Binary pushes of this kind are not supported"), to: envelope, member.socket)
            return
        }
        let sum = messages.note(second: clock.unixSeconds())
        guard sum <= limits.messagesPerSecond * HubLimits.messageWindowSeconds else {
            expel(member, "Too many messages per second")
            return
        }
        switch (envelope.event, envelope.content) {
        case ("broadcast", .broadcast(let broadcast)): self.broadcast(broadcast, envelope, member)
        case ("broadcast", .json(let payload)):
            guard let broadcast = Envelope.Broadcast(payload: payload) else {
                metrics.dropped.increment()
                if member.config.acknowledgesBroadcasts {
                    reply(Payloads.refusal("A broadcast must be a map with an event"), to: envelope, member.socket)
                }
                return
            }
            self.broadcast(broadcast, envelope, member)
        case ("presence", .json(let payload)): presence(payload, envelope, member)
        case ("access_token", .json(let payload)): accessToken(payload, member)
        default: break
        }
    }

    private func leave(_ envelope: Envelope, _ socket: Socket) {
        socket.pendingJoins[envelope.topic] = nil
        guard let member = socket.members[envelope.topic] else {
            reply(Payloads.ok, to: envelope, socket)
            return
        }
        guard isCurrent(envelope, member) else { return }
        reply(Payloads.ok, to: envelope, socket)
        sayClosed(member)
        remove(member)
    }

    /// `phx_close` to the member itself.
    func sayClosed(_ member: Member) {
        let frame = EnvelopeWriter.end(
            member.socket.serializer, joinReference: member.joinReference, topic: member.channel.key.topic,
            event: "phx_close")
        append(Outgoing(sockets: [member.socket.id], content: .text(frame)), to: member.socket.session)
    }

    /// False for a message of a membership that this one has replaced.
    private func isCurrent(_ envelope: Envelope, _ member: Member) -> Bool {
        envelope.joinReference.isNull || envelope.joinReference.isSame(as: member.joinReference)
    }
}

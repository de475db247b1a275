// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import MartletWire

/// `realtime.send` and `realtime.receive`: what the wire says, in the hub's words and back.
struct HubMethods: Sendable {
    let hub: Hub

    func send(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_RealtimeSendRequest(payload: request.payload) else {
            return Self.unreadable
        }
        let isKnown = await hub.send(
            session: message.session, sequence: message.sequence, message.items.compactMap(Self.incoming))
        var reply = Martlet_Wire_V1_RealtimeSendReply()
        reply.unknownSession = !isKnown
        return OutboundReply(payload: reply.payload)
    }

    func receive(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_RealtimeReceiveRequest(payload: request.payload) else {
            return Self.unreadable
        }
        let delivery = await hub.receive(
            session: message.session, acknowledged: message.acknowledged,
            wait: .milliseconds(Int64(message.waitMilliseconds)), begins: message.begin)
        var reply = Martlet_Wire_V1_RealtimeReceiveReply()
        reply.unknownSession = delivery.isUnknownSession
        reply.sequence = delivery.sequence
        reply.items = delivery.items.map(Self.down)
        return OutboundReply(payload: reply.payload)
    }

    private static let unreadable = OutboundReply(
        header: ReplyHeader(code: .badMessage, executed: .no, message: "the request cannot be read"))

    private static func incoming(_ item: Martlet_Wire_V1_SocketUp) -> Incoming? {
        switch item.what {
        case .opened(let opened):
            return .opened(
                socket: opened.socket, serializer: Serializer(wire: opened.serializer),
                grant: Grant(
                    role: opened.role, claims: opened.claims, token: opened.token,
                    expiresAt: opened.expiresAt == 0 ? nil : opened.expiresAt))
        case .frame(let frame):
            return .frame(socket: frame.socket, isBinary: frame.binary, bytes: Array(frame.payload))
        case .closed(let closed): return .closed(socket: closed.socket)
        case nil: return nil
        }
    }

    private static func down(_ item: Outgoing) -> Martlet_Wire_V1_SocketDown {
        var down = Martlet_Wire_V1_SocketDown()
        down.sockets = item.sockets
        switch item.content {
        case .text(let bytes): down.payload = Data(bytes)
        case .binary(let bytes):
            down.binary = true
            down.payload = Data(bytes)
        case .close(let code, let reason):
            down.closeCode = code
            down.closeReason = reason
        }
        return down
    }
}

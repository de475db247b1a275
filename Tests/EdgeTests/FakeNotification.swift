// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MartletBus
import MartletWire
import NIOCore
import Testing

@testable import MartletEdge

/// What notification is to the edge, by the book: sessions, replies that are kept until they are acknowledged.
actor FakeNotification {
    /// What to do with the next calls instead of answering them.
    enum Mishap: Sendable {
        /// Nothing was done, and the caller knows it.
        case refused(ErrorCode)
        /// Done, and the caller does not know.
        case replyLost
        case unknownSession
    }

    private struct Session {
        var sequence: UInt64 = 0
        var lastReply: Martlet_Wire_V1_RealtimeReceiveReply?
        var queue: [Martlet_Wire_V1_SocketDown] = []
        var lastSend: UInt64 = 0
    }

    private var sessions: [String: Session] = [:]
    private(set) var names: [String] = []
    private var sendMishaps: [Mishap] = []
    private var receiveMishaps: [Mishap] = []
    private var isHeld = false
    private(set) var faults: [String] = []
    private(set) var batches: [Int] = []
    private let ups: AsyncStream<Martlet_Wire_V1_SocketUp>.Continuation
    nonisolated let items: AsyncStream<Martlet_Wire_V1_SocketUp>

    init() { (items, ups) = AsyncStream.makeStream(of: Martlet_Wire_V1_SocketUp.self) }

    func failSends(_ mishaps: [Mishap]) { sendMishaps = mishaps }
    func failReceives(_ mishaps: [Mishap]) { receiveMishaps = mishaps }
    /// Sends are not answered until it ends.
    func hold(_ isHeld: Bool) { self.isHeld = isHeld }

    func queue(_ items: [Martlet_Wire_V1_SocketDown]) {
        guard let name = names.last else { return }
        sessions[name]?.queue += items
    }

    func forgetSessions() { sessions = [:] }

    func receive(_ request: Martlet_Wire_V1_RealtimeReceiveRequest) async -> OutboundReply {
        var reply = Martlet_Wire_V1_RealtimeReceiveReply()
        if request.begin {
            if request.waitMilliseconds != 0 || names.contains(request.session) { faults.append("begin") }
            sessions[request.session] = Session()
            names.append(request.session)
            return OutboundReply(payload: reply.payload)
        }
        let mishap = receiveMishaps.isEmpty ? nil : receiveMishaps.removeFirst()
        switch mishap {
        case .refused(let code): return Self.failure(code, .no)
        case .unknownSession:
            sessions[request.session] = nil
        default: break
        }
        let end = ContinuousClock.now + .milliseconds(Int64(request.waitMilliseconds))
        while true {
            guard var session = sessions[request.session] else {
                reply.unknownSession = true
                return OutboundReply(payload: reply.payload)
            }
            if let last = session.lastReply, last.sequence > request.acknowledged {
                reply = last
                break
            }
            if !session.queue.isEmpty {
                session.sequence += 1
                reply.sequence = session.sequence
                reply.items = session.queue
                session.queue = []
                session.lastReply = reply
                sessions[request.session] = session
                break
            }
            reply.sequence = session.sequence
            if ContinuousClock.now >= end || Task.isCancelled { break }
            try? await Task.sleep(for: .milliseconds(1))
        }
        if case .replyLost = mishap { return Self.failure(.linkLost, .unknown) }
        return OutboundReply(payload: reply.payload)
    }

    func send(_ request: Martlet_Wire_V1_RealtimeSendRequest) async -> OutboundReply {
        while isHeld, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(1)) }
        let mishap = sendMishaps.isEmpty ? nil : sendMishaps.removeFirst()
        if case .refused(let code) = mishap { return Self.failure(code, .no) }
        var reply = Martlet_Wire_V1_RealtimeSendReply()
        guard let last = sessions[request.session]?.lastSend else {
            reply.unknownSession = true
            return OutboundReply(payload: reply.payload)
        }
        if request.sequence != last + 1 { faults.append("sequence \(request.sequence) after \(last)") }
        sessions[request.session]?.lastSend = request.sequence
        batches.append(request.items.count)
        for item in request.items { ups.yield(item) }
        if case .replyLost = mishap { return Self.failure(.linkLost, .unknown) }
        return OutboundReply(payload: reply.payload)
    }

    private static func failure(_ code: ErrorCode, _ executed: Executed) -> OutboundReply {
        OutboundReply(header: ReplyHeader(code: code, executed: executed, message: "as the test wants it"))
    }

    // MARK: Things to say

    static func text(_ text: String, to sockets: [String], close: UInt32 = 0, _ reason: String = "")
        -> Martlet_Wire_V1_SocketDown
    {
        var item = Martlet_Wire_V1_SocketDown()
        item.sockets = sockets
        item.payload = Data(text.utf8)
        item.closeCode = close
        item.closeReason = reason
        return item
    }
}

/// An edge's sockets, its link and the notification that it talks to, over the bus.
struct LinkFixture {
    let server: EdgeServer
    let link: RealtimeLink
    let notification: FakeNotification

    static func with(
        limits: SocketLimits = SocketLimits(), stops: Bool = true, _ test: (LinkFixture) async throws -> Void
    ) async throws {
        let thread = try BusThread()
        let notification = FakeNotification()
        let answering = try Bus(
            BusConfiguration(
                service: .notification, instance: "n", requestEndpoints: ["inproc://notification"]), on: thread)
        answering.handle(MethodRegistry.realtimeReceive) { request in
            guard let message = try? Martlet_Wire_V1_RealtimeReceiveRequest(payload: request.payload) else {
                return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no))
            }
            return await notification.receive(message)
        }
        answering.handle(MethodRegistry.realtimeSend) { request in
            guard let message = try? Martlet_Wire_V1_RealtimeSendRequest(payload: request.payload) else {
                return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no))
            }
            return await notification.send(message)
        }
        let calling = try Bus(
            BusConfiguration(
                service: .edge, instance: "edge-1",
                peers: [.notification: answering.boundRequestEndpoints.map { PeerEndpoint(request: $0) }]), on: thread)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let link = RealtimeLink(
            bus: calling, instance: "edge-1", logger: logger, room: BodyRoom(bytesMax: limits.roomBytesMax))
        try await OpenDoor.with(link, limits: limits, stops: stops) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try? await answering.run() }
                group.addTask { try? await calling.run() }
                group.addTask { await link.run(server.sockets) }
                defer { group.cancelAll() }
                try await test(LinkFixture(server: server, link: link, notification: notification))
            }
        }
    }

    /// A client that is let in once there is a session.
    func connect() async throws -> TestSocket {
        try #require(await link.becomesReady())
        return try await TestSocket(port: server.port)
    }
}

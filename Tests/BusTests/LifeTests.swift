// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization
import Testing

@testable import MartletBus
@testable import MartletWire

/// Deadlines, cancellation, death, draining and restarts over real sockets.
@Suite(.timeLimit(.minutes(2)))
struct LifeTests {
    /// Waits until its task is cancelled.
    @Sendable static func waits(_ request: InboundRequest) async -> OutboundReply {
        try? await Task.sleep(for: .seconds(60))
        return OutboundReply(header: ReplyHeader(code: .cancelled, executed: .unknown))
    }

    @Test("What is put off to the end of a round comes behind its jobs, and only on the bus thread")
    func roundEnd() async throws {
        let thread = try BusThread()
        #expect(!thread.atRoundEnd {})
        for _ in 0..<100 {
            let order = Mutex<[Int]>([])
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                thread.post { _ in
                    let isTaken = thread.atRoundEnd {
                        order.withLock { $0.append(2) }
                        continuation.resume()
                    }
                    #expect(isTaken)
                    order.withLock { $0.append(1) }
                }
            }
            #expect(order.withLock { $0 } == [1, 2])
        }
    }

    @Test("A deadline ends the request at the caller and the task at the handler", arguments: Transport.allCases)
    func deadline(_ transport: Transport) async throws {
        try await Pair.with(transport, handlers: [(MethodRegistry.httpRead, Self.waits)]) { pair in
            try await eventually("the link is ready") { pair.client.isReady(.data) }
            let error = await busError {
                _ = try await pair.client.request(
                    MethodRegistry.httpRead, to: .data, header: RequestHeader(),
                    deadline: .now.advanced(by: .milliseconds(700)))
            }
            #expect(error?.code == .deadlineExceeded)
            try await eventually("the handler ended") { pair.server.metrics().running == 0 }
            try await eventually("the credit came back") { pair.client.metrics().targets[.data]?.pending == 0 }
        }
    }

    @Test("A caller that is cancelled cancels the handler", arguments: Transport.allCases)
    func cancellation(_ transport: Transport) async throws {
        try await Pair.with(transport, handlers: [(MethodRegistry.httpWrite, Self.waits)]) { pair in
            let call = Task {
                await busError {
                    _ = try await pair.client.request(MethodRegistry.httpWrite, to: .data, header: RequestHeader())
                }
            }
            try await eventually("the handler runs") { pair.server.metrics().running == 1 }
            call.cancel()
            #expect(await call.value?.code == .cancelled)
            try await eventually("the handler ended") { pair.server.metrics().running == 0 }
        }
    }

    @Test("When the server's process goes, what is in flight fails at once with an unknown outcome",
        arguments: Transport.allCases)
    func peerGone(_ transport: Transport) async throws {
        // Silence is no evidence here: the call's deadline passes long before it, so only the monitor can tell.
        var limits = patientLimits()
        limits.silenceMax = .seconds(120)
        try await Pair.with(transport, limits: limits, handlers: [(MethodRegistry.httpWrite, Self.waits)]) { pair in
            let call = Task {
                await busError {
                    _ = try await pair.client.request(MethodRegistry.httpWrite, to: .data, header: RequestHeader())
                }
            }
            try await eventually("the handler runs") { pair.server.metrics().running == 1 }
            if transport == .inproc {
                pair.server.shutDownNow()
            } else {
                pair.serverThread.shutDown()
            }
            let error = await call.value
            #expect(error?.code == .linkLost)
            #expect(error?.executed == .unknown)
        }
    }

    @Test("Requests are parked across a restart of the service")
    func restart() async throws {
        let endpoint = Transport.ipc.endpoint(.data)
        let serverKeys = try CurveKeyPair.make()
        let clientKeys = try CurveKeyPair.make()
        var calling = BusConfiguration(service: .edge, instance: "edge-1", keys: clientKeys)
        calling.peers = [.data: [PeerEndpoint(request: endpoint)]]
        calling.serverKeys = [.data: [serverKeys.publicKey]]
        let client = try Bus(calling, on: BusThread())
        let running = Task { try await client.run() }
        for _ in 0..<3 {
            let call = Task {
                try await client.request(
                    MethodRegistry.httpRead, to: .data, header: RequestHeader(), payload: bytes(10))
            }
            try await eventually("the request is parked") { client.metrics().targets[.data]?.waiting == 1 }
            var serving = BusConfiguration(
                service: .data, instance: "data-1", requestEndpoints: [endpoint], keys: serverKeys)
            serving.allowed = AllowList([clientKeys.publicKey: .init(service: .edge)])
            let server = try Bus(serving, on: BusThread())
            server.handle(MethodRegistry.httpRead, echo)
            let serves = Task { try await server.run() }
            #expect(try await call.value.payload == bytes(10))
            serves.cancel()
            _ = await serves.result
            try await eventually("the link is gone") { !client.isReady(.data) }
        }
        running.cancel()
        _ = await running.result
    }

    @Test("Requests are parked while a replica answers that it is not ready, and no longer than others are")
    func unready() async throws {
        let refusals = Mutex(0)
        let opensAfterTenRefusals: @Sendable (InboundRequest) async -> OutboundReply = { request in
            let isReady = refusals.withLock { count in
                count += 1
                return count > 10
            }
            if isReady { return OutboundReply(payload: request.payload) }
            return OutboundReply(header: ReplyHeader(code: .unavailable, executed: .no, message: "not ready"))
        }
        let neverReady: @Sendable (InboundRequest) async -> OutboundReply = { _ in
            OutboundReply(header: ReplyHeader(code: .unavailable, executed: .no, message: "not ready"))
        }
        var limits = patientLimits()
        limits.parkedTimeMax = .seconds(30)
        let opens = [(MethodRegistry.httpWrite, opensAfterTenRefusals)]
        try await Pair.with(.inproc, limits: limits, handlers: opens) { pair in
            let reply = try await pair.client.request(
                MethodRegistry.httpWrite, to: .data, header: RequestHeader(), payload: bytes(5))
            #expect(reply.payload == bytes(5))
            #expect(refusals.withLock { $0 } == 11)
        }
        limits.parkedTimeMax = .milliseconds(200)
        try await Pair.with(.inproc, limits: limits, handlers: [(MethodRegistry.httpWrite, neverReady)]) { pair in
            let error = await busError {
                _ = try await pair.client.request(MethodRegistry.httpWrite, to: .data, header: RequestHeader())
            }
            #expect(error?.code == .unavailable)
            #expect(error?.executed == .no)
        }
    }

    @Test("Draining finishes what runs, refuses what comes later, and ends", arguments: Transport.allCases)
    func draining(_ transport: Transport) async throws {
        let gate = AsyncStream.makeStream(of: Void.self)
        let waitsForGate: @Sendable (InboundRequest) async -> OutboundReply = { request in
            for await _ in gate.stream { break }
            return OutboundReply(payload: request.payload)
        }
        var limits = patientLimits()
        limits.drainGrace = .milliseconds(100)
        limits.parkedTimeMax = .milliseconds(300)
        try await Pair.with(transport, limits: limits, handlers: [(MethodRegistry.httpWrite, waitsForGate)]) { pair in
            try await eventually("the link is ready") { pair.client.isReady(.data) }
            let call = Task {
                try await pair.client.request(
                    MethodRegistry.httpWrite, to: .data, header: RequestHeader(), payload: bytes(5))
            }
            try await eventually("the handler runs") { pair.server.metrics().running == 1 }
            pair.server.beginDraining()
            try await eventually("the caller knows") { !pair.client.isReady(.data) }
            let late = await busError {
                _ = try await pair.client.request(MethodRegistry.httpRead, to: .data, header: RequestHeader())
            }
            #expect(late?.code == .unavailable)
            #expect(late?.executed == .no)
            gate.continuation.yield()
            #expect(try await call.value.payload == bytes(5))
            try await eventually("drained") { pair.serverObserved.all.contains(.drained) }
        }
    }

    @Test("A service that nobody configured is unavailable after the time of parking")
    func noReplica() async throws {
        var limits = patientLimits()
        limits.parkedTimeMax = .milliseconds(50)
        try await Pair.with(.inproc, limits: limits) { pair in
            let error = await busError {
                _ = try await pair.client.request(MethodRegistry.httpRead, to: .auth, header: RequestHeader())
            }
            #expect(error?.code == .unavailable)
            #expect(error?.executed == .no)
        }
    }

    @Test("Events reach who subscribed to their topic, and nobody else", arguments: Transport.allCases)
    func events(_ transport: Transport) async throws {
        let serverKeys = try CurveKeyPair.make()
        let clientKeys = try CurveKeyPair.make()
        let thread = try BusThread()
        var publishing = BusConfiguration(service: .data, instance: "d", keys: serverKeys)
        publishing.eventEndpoints = [transport == .inproc ? "inproc://data.events" : transport.endpoint(.data)]
        publishing.allowed = AllowList([clientKeys.publicKey: .init(service: .notification)])
        let publisher = try Bus(publishing, on: thread)
        var listening = BusConfiguration(service: .notification, instance: "n", keys: clientKeys)
        listening.peers = [.data: [PeerEndpoint(request: "", event: publisher.boundEventEndpoints[0])]]
        listening.serverKeys = [.data: [serverKeys.publicKey]]
        let listener = try Bus(listening, on: transport == .inproc ? thread : BusThread())
        let running = [Task { try await publisher.run() }, Task { try await listener.run() }]
        let received = await listener.withSubscription(to: .data, topic: Array("rows".utf8)) { events -> BusEvent? in
            // A subscription needs its time to arrive, so the bell is rung until it is heard.
            let ringing = Task {
                while !Task.isCancelled {
                    publisher.publish(Array("rowsets".utf8), EventHeader(id: "other"))
                    publisher.publish(Array("rows".utf8), EventHeader(id: "e-1"), bytes(3))
                    try? await Task.sleep(for: .milliseconds(5))
                }
            }
            defer { ringing.cancel() }
            for await event in events { return event }
            return nil
        }
        #expect(received?.header.id == "e-1")
        #expect(received?.payload == bytes(3))
        for task in running { task.cancel() }
    }
}

// SPDX-License-Identifier: Apache-2.0

import CZeroMQ
import Glibc
import NIOCore
import Synchronization
import Testing

@testable import MartletBus
@testable import MartletWire

/// What the design rests on: no peer, however hostile, ends the process, fills its memory or keeps others waiting.
///
/// libzmq aborts the whole process when one of its own invariants breaks, so each test runs in a process of its own.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct TortureTests {
    @Test("A peer whose requests fill the receive queue while its connection is reset harms nobody else")
    func fullServerQueue() async {
        await #expect(processExitsWith: .success) { try await Torture.fullServerQueue() }
    }

    @Test("A replica whose frames fill the receive queue while its connection is reset is just connected again")
    func fullClientQueue() async {
        await #expect(processExitsWith: .success) { try await Torture.fullClientQueue() }
    }

    @Test("Ten thousand junk connections to the request port leave no memory, no descriptor and no delay behind")
    func junkConnections() async {
        await #expect(processExitsWith: .success) { try await Torture.junkConnections() }
    }
}

private enum Torture {
    /// Payload bytes of one hostile frame.
    static let frameBytes = 2_048
    /// How much the process may grow between the end of the warm-up and the end; a leak of one queue would be more.
    static let growthKilobytesMax = 48 << 10

    /// glibc's `malloc_trim`, which Swift's module of it leaves out.
    private static let trim: (@convention(c) (Int) -> Int32)? = dlsym(nil, "malloc_trim").map {
        unsafeBitCast($0, to: (@convention(c) (Int) -> Int32).self)
    }

    // MARK: Full queues

    static func fullServerQueue() async throws {
        let rounds = 16
        let hostileKeys = try CurveKeyPair.make()
        try await withServer(alsoAllowed: hostileKeys) { pair, port in
            let proxy = try #require(ResettingProxy(upstreamPort: port))
            Thread.start { proxy.run() }
            defer { proxy.end() }
            let request = frame(.request, method: MethodRegistry.httpWrite, payload: frameBytes)
            var memory = 0
            for round in 0..<rounds {
                let hostile = RawSocket(dealerTo: proxy.port, keys: hostileKeys, serverKey: pair.serverKeys.publicKey)
                hostile.send(frame(.hello, payload: Introduction(service: "edge", instance: "hostile").encoded))
                #expect(hostile.receive()?.dropFirst(2).first == FrameKind.ready.rawValue)
                let gate = Gate()
                pair.serverThread.perform { _ in gate.wait() }
                gate.waitForArrival()
                var id: UInt64 = 0
                try await fill("round \(round)", through: proxy) {
                    hostile.send(numbered(request, id))
                    id += 1
                }
                // The queue of 2,000 messages and the kernel's buffers are full now.
                #expect(proxy.relayedBytes > 2_000 * frameBytes)
                // In turn: reset while the reader stands still, and while it empties the queue.
                if round.isMultiple(of: 2) { proxy.reset() }
                gate.open()
                proxy.reset()
                #expect(try await answers(pair.client))
                try await eventually("round \(round): the peer is forgotten") { pair.server.metrics().peers == 1 }
                if round == rounds / 3 { memory = residentKilobytes() }
            }
            try await eventually("every handler ended") { pair.server.metrics().running == 0 }
            try await eventually("what was queued is freed") { residentKilobytes() - memory < growthKilobytesMax }
        }
    }

    static func fullClientQueue() async throws {
        let rounds = 6
        let serverKeys = try CurveKeyPair.make()
        let replica = RawSocket(routerWith: serverKeys)
        let proxy = try #require(ResettingProxy(upstreamPort: replica.boundPort))
        Thread.start { proxy.run() }
        defer { proxy.end() }
        var calling = BusConfiguration(service: .edge, instance: "edge-1", keys: try .make())
        calling.peers = [.data: [PeerEndpoint(request: "tcp://127.0.0.1:\(proxy.port)")]]
        calling.serverKeys = [.data: [serverKeys.publicKey]]
        let thread = try BusThread()
        let client = try Bus(calling, on: thread)
        let running = Task { try? await client.run() }
        var ready = Introduction(service: "data", instance: "hostile")
        ready.requestsMax = 64
        ready.bytesMax = 4 << 20
        // A field of a later version that nobody knows makes the frame as large as we like.
        let pong = frame(.pong, payload: ByteBuffer(bytes: [0x7A, 0x80, 0x10] + [UInt8](repeating: 1, count: 2_048)))
        var memory = 0
        for round in 0..<rounds {
            // HELLO of the new connection; what the old one still sent is passed over.
            var routing: [UInt8] = []
            while true {
                routing = try #require(replica.receive())
                if try #require(replica.receive()).dropFirst(2).first == FrameKind.hello.rawValue { break }
            }
            replica.send(routing, more: true)
            replica.send(frame(.ready, payload: ready.encoded))
            try await eventually("round \(round): the link is ready") { client.isReady(.data) }
            let gate = Gate()
            thread.perform { _ in gate.wait() }
            gate.waitForArrival()
            try await fill("round \(round)", through: proxy) {
                replica.send(routing, more: true)
                replica.send(pong)
            }
            #expect(proxy.relayedBytes > 10_000 * frameBytes)
            if round.isMultiple(of: 2) { proxy.reset() }
            gate.open()
            proxy.reset()
            if round == rounds / 3 { memory = residentKilobytes() }
        }
        try await eventually("the link is gone") { !client.isReady(.data) }
        try await eventually("what was queued is freed") { residentKilobytes() - memory < growthKilobytesMax }
        running.cancel()
        _ = await running.value
    }

    // MARK: Junk

    static func junkConnections() async throws {
        let total = 10_000
        try await withServer { pair, port in
            #expect(try await answers(pair.client))
            let descriptors = openDescriptors()
            let answered = Atomic<Int>(0)
            let honest = Task {
                while !Task.isCancelled {
                    guard try await answers(pair.client) else { return false }
                    answered.wrappingAdd(1, ordering: .relaxed)
                }
                return true
            }
            var silent: [RawConnection] = []
            var memory = 0
            var random = SplitMix64(seed: 7)
            for number in 0..<total {
                if number % 500 == 0 {
                    // Whoever connects without our mechanism, or with a key on no list, never gets further.
                    let stranger = RawSocket(
                        dealerTo: port, keys: number % 1_000 == 0 ? nil : try CurveKeyPair.make(),
                        serverKey: pair.serverKeys.publicKey)
                    stranger.send(frame(.hello, payload: Introduction(service: "edge", instance: "stranger").encoded))
                    #expect(try await answers(pair.client))
                    if number == total / 5 { memory = residentKilobytes() }
                }
                let connection = try #require(RawConnection(port: port))
                switch number % 6 {
                case 0: connection.resetOnClose()
                case 1: connection.send((0..<200).map { _ in UInt8(truncatingIfNeeded: random.next()) })
                case 2:
                    connection.send(greeting("NULL") + [0x04, 0x19, 0x05] + Array("READY".utf8))
                    connection.resetOnClose()
                case 3:
                    connection.send(
                        greeting("CURVE") + (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) })
                case 4: connection.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
                default:
                    connection.send(Array(greeting("CURVE").prefix(11)))
                    // The last ones stay, silent in the middle of the greeting.
                    if number > total - 1_200 { silent.append(connection) }
                }
            }
            #expect(silent.count == 200)
            for connection in silent { #expect(connection.waitForEnd(seconds: 10)) }
            silent.removeAll()
            honest.cancel()
            do { #expect(try await honest.value) } catch { #expect((error as? BusError)?.code == .cancelled) }
            #expect(answered.load(ordering: .relaxed) > 0)
            #expect(try await answers(pair.client))
            #expect(pair.server.metrics().peers == 1)
            try await eventually("what was queued is freed") { residentKilobytes() - memory < growthKilobytesMax }
            try await eventually("descriptors came back: \(openDescriptors()), before \(descriptors)") {
                // A few belong to calls that are under way; ten thousand would not hide among them.
                openDescriptors() <= descriptors + 16
            }
        }
    }

    // MARK: Parts

    /// An honest pair over tcp; its server also admits another key as an edge.
    private static func withServer(
        alsoAllowed other: CurveKeyPair? = nil, _ body: (Pair, UInt16) async throws -> Void
    ) async throws {
        let serverKeys = try CurveKeyPair.make()
        let clientKeys = try CurveKeyPair.make()
        let observed = Observed()
        var serving = BusConfiguration(
            service: .data, instance: "data-1", requestEndpoints: ["tcp://127.0.0.1:*"], keys: serverKeys)
        serving.allowed = AllowList([clientKeys.publicKey: .init(service: .edge)])
        if let other { serving.allowed.entries[other.publicKey] = .init(service: .edge) }
        // The test stops the bus thread on purpose, for longer than any handler may.
        serving.limits.silenceMax = .seconds(60)
        let serverThread = try BusThread()
        let server = try Bus(serving, on: serverThread)
        server.handle(MethodRegistry.httpRead, echo)
        server.handle(MethodRegistry.httpWrite, echo)
        var calling = BusConfiguration(service: .edge, instance: "edge-1", keys: clientKeys, limits: serving.limits)
        calling.peers = [.data: server.boundRequestEndpoints.map { PeerEndpoint(request: $0) }]
        calling.serverKeys = [.data: [serverKeys.publicKey]]
        let clientThread = try BusThread()
        let client = try Bus(calling, on: clientThread)
        let pair = Pair(
            server: server, client: client, clientThread: clientThread, serverThread: serverThread,
            serverKeys: serverKeys, clientKeys: clientKeys, serverObserved: observed, clientObserved: observed)
        let tasks = [Task { try? await server.run() }, Task { try? await client.run() }]
        try await body(pair, portNumber(server.boundRequestEndpoints[0]))
        for task in tasks {
            task.cancel()
            _ = await task.value
        }
    }

    /// Sends hostile frames until the other side of `proxy` takes no more.
    ///
    /// How many that are depends on the machine: beside the reader's queue the kernel keeps up to `tcp_rmem` bytes.
    /// The sender stays little ahead, because what it queues would count as this process's memory.
    private static func fill(_ text: String, through proxy: ResettingProxy, send: () -> Void) async throws {
        let aheadMax = 4 << 20
        var sentBytes = 0
        try await eventually("\(text): the queue is full", within: .seconds(60)) {
            while !proxy.isStalled, sentBytes < proxy.relayedBytes + aheadMax {
                send()
                sentBytes += frameBytes
            }
            return proxy.isStalled
        }
        try #require(proxy.isStalled)
    }

    /// Whether a request comes back as it went.
    private static func answers(_ client: Bus) async throws -> Bool {
        let sent = bytes(100)
        return try await client.request(MethodRegistry.httpRead, to: .data, header: RequestHeader(), payload: sent)
            .payload == sent
    }

    private static func frame(_ kind: FrameKind, payload: ByteBuffer) -> [UInt8] {
        var buffer = ByteBuffer()
        Prefix(kind: kind).write(to: &buffer)
        return Array(buffer.readableBytesView) + Array(payload.readableBytesView)
    }

    private static func frame(_ kind: FrameKind, method: MartletWire.Method, payload: Int) -> [UInt8] {
        var buffer = ByteBuffer()
        Prefix(kind: kind, methodID: method.id, budgetMicroseconds: 60_000_000).write(to: &buffer)
        return Array(buffer.readableBytesView) + [UInt8](repeating: 7, count: payload)
    }

    private static func numbered(_ frame: [UInt8], _ id: UInt64) -> [UInt8] {
        var frame = frame
        for index in 0..<8 { frame[8 + index] = UInt8(truncatingIfNeeded: id >> (8 * index)) }
        return frame
    }

    /// ZMTP 3.1's greeting of a client with this mechanism.
    private static func greeting(_ mechanism: String) -> [UInt8] {
        let name = Array(mechanism.utf8)
        return [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1] + name
            + [UInt8](repeating: 0, count: 20 - name.count + 1 + 31)
    }

    /// Memory of this process that is in use now (VmRSS without what malloc keeps for later).
    private static func residentKilobytes() -> Int {
        _ = trim?(0)
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard text.hasPrefix("VmRSS:") else { continue }
            return text.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
        }
        return 0
    }

    private static func openDescriptors() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count
    }
}

/// A thread of its own for work that waits.
private enum Thread {
    static func start(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }

    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

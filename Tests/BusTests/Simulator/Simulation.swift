// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBus
@testable import MartletWire

/// One caller and several replicas on virtual time, joined by links that delay, reorder among each other, break, and
/// by replicas that crash and pause. It drives the very machines that the real sockets drive, and checks after every
/// step what they promise.
///
/// A link keeps its order and loses nothing while it lives (as TCP does); loss is the link's death.
final class Simulation {
    /// What a frame carries, as far as the machines look.
    enum Frame {
        case hello, ready, ping, goAway(isFinal: Bool), cancel(UInt64)
        case pong(isDraining: Bool)
        case request(UInt64, RequestFacts)
        case requestChunk(UInt64, bytes: Int, isLast: Bool)
        case reply(UInt64, ReplyFacts)
        case replyChunk(UInt64, bytes: Int, isLast: Bool, isAborted: Bool)
        case credit(UInt64, bytes: Int)
    }

    enum Happening {
        case toServer(LinkID, Frame)
        case toClient(LinkID, Frame)
        case connected(LinkID)
        case broken(LinkID, isClientSide: Bool)
        case submit
        case cancel(CallID)
        case finish(replica: Int, incarnation: Int, ServerMachine.Request)
        case crash(Int), restart(Int), pause(Int), cut, drain(Int)
    }

    struct Connection {
        let replica: Int
        let incarnation: Int
        var isAlive = true
        /// When the last frame of each direction arrives; later ones arrive later.
        var lastToServer: Int64 = 0
        var lastToClient: Int64 = 0
    }

    final class Replica {
        var machine: ServerMachine
        var incarnation = 0
        var isUp = true
        var pausedUntil: Int64 = 0
        init(_ limits: BusLimits) { machine = ServerMachine(handled: Simulation.handled, limits: limits) }
    }

    struct Record {
        let isRepeatable: Bool
        let deadline: Int64
        let bytes: Int
        var starts = 0
        var outcomes = 0
        var replyBytes = 0
    }

    static let handled: Set<UInt32> = [MethodRegistry.httpRead.id, MethodRegistry.httpWrite.id]
    static let millisecond: Int64 = 1_000_000
    static let delayMax = 40 * millisecond

    let limits: BusLimits
    var random: SplitMix64
    var now: Int64 = 0
    var client: TargetMachine
    var replicas: [Replica]
    var connections: [LinkID: Connection] = [:]
    var records: [CallID: Record] = [:]
    var failures: [String] = []
    private var queue: [(time: Int64, order: Int, what: Happening)] = []
    private var order = 0
    private var nextCall: UInt64 = 1
    /// Faults end here; afterwards everything must come to rest.
    let calm: Int64

    init(seed: UInt64) {
        var limits = BusLimits()
        limits.requestsMax = 4
        limits.parkedMax = 20
        limits.chunkBytesMax = 1_000
        limits.windowBytesMax = 4_000
        limits.bytesMax = 10_000
        limits.bodyBytesMax = 20_000
        limits.bodiesBytesMax = 60_000
        limits.runningMax = 8
        limits.drainGrace = .milliseconds(200)
        limits.drainMax = .seconds(3)
        self.limits = limits
        random = SplitMix64(seed: seed)
        client = TargetMachine(target: .data, limits: limits, seed: random.next())
        replicas = (0..<(1 + Int(random.next(below: 3)))).map { _ in Replica(limits) }
        calm = 8_000 * Self.millisecond
        for _ in 0..<(60 + random.next(below: 120)) { at(below(calm), .submit) }
        for _ in 0..<random.next(below: 12) {
            let replica = Int(random.next(below: UInt64(replicas.count)))
            let time = below(calm)
            switch random.next(below: 4) {
            case 0:
                at(time, .crash(replica))
                at(time + below(1_500 * Self.millisecond), .restart(replica))
            case 1: at(time, .pause(replica))
            case 2:
                at(time, .drain(replica))
                at(time + 3_500 * Self.millisecond, .restart(replica))
            default: at(time, .cut)
            }
        }
        // Whatever happened before, at the end everybody is there.
        for replica in replicas.indices { at(calm + 4_000 * Self.millisecond, .restart(replica)) }
    }

    func run() {
        step(.endpoints(replicas.indices.map { "r\($0)" }))
        let end = calm + 30_000 * Self.millisecond
        while now < end, failures.isEmpty {
            let due = min(client.nextTick.nanoseconds, serverTick().time)
            if let next = queue.first, next.time <= due {
                pop()
                now = max(now, next.time)
                perform(next.what)
            } else {
                guard due < end else { break }
                now = max(now, due)
                if client.nextTick.nanoseconds <= now { step(.tick) }
                let (time, replica) = serverTick()
                if time <= now, let replica { serve(replica, .tick) }
            }
            check()
        }
        checkEnd()
    }

    func below(_ bound: Int64) -> Int64 { Int64(random.next(below: UInt64(max(1, bound)))) }
    func expect(_ isTrue: Bool, _ text: @autoclosure () -> String) {
        if !isTrue { failures.append("at \(now / Self.millisecond) ms: \(text())") }
    }

    /// The earliest timer of a replica that can run.
    private func serverTick() -> (time: Int64, replica: Int?) {
        var best: (time: Int64, replica: Int?) = (.max, nil)
        for (index, replica) in replicas.enumerated() where replica.isUp {
            let time = max(replica.machine.nextTick.nanoseconds, replica.pausedUntil)
            if time < best.time { best = (time, index) }
        }
        return best
    }

    // MARK: Queue

    func at(_ time: Int64, _ what: Happening) {
        order += 1
        let item = (time: time, order: order, what: what)
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if (queue[middle].time, queue[middle].order) < (item.time, item.order) { low = middle + 1 } else { high = middle }
        }
        queue.insert(item, at: low)
    }

    private func pop() { queue.removeFirst() }

    func submit() {
        let id = CallID(rawValue: nextCall)
        nextCall += 1
        let sizes = [0, 10, 1_000, 1_001, 3_000, 9_000, 19_000, 25_000]
        let bytes = sizes[Int(random.next(below: UInt64(sizes.count)))]
        let deadline = now + 1 + below(6_000 * Self.millisecond)
        records[id] = Record(isRepeatable: random.next(below: 2) == 0, deadline: deadline, bytes: bytes)
        if random.next(below: 6) == 0 { at(now + below(500 * Self.millisecond), .cancel(id)) }
        step(
            .submit(
                id,
                CallFacts(
                    isRepeatable: records[id]?.isRepeatable == true, bytes: bytes,
                    deadline: BusTime(nanoseconds: deadline), routeKey: nil)))
    }

    // MARK: Promises

    private func check() {
        for link in client.links {
            expect(link.requestsInFlight <= limits.requestsMax, "credit exceeded: \(link.requestsInFlight) requests")
            expect(link.requestsInFlight >= 0, "credit given back twice")
        }
        expect(client.waiting.count <= limits.parkedMax, "parked \(client.waiting.count)")
        for replica in replicas {
            expect(replica.machine.runningCount >= 0 && replica.machine.bodiesBytes >= 0, "server counts below zero")
            expect(replica.machine.bodiesBytes <= limits.bodiesBytesMax, "bodies beyond their bound")
            for peer in replica.machine.peers.values {
                expect(peer.requests.count <= limits.requestsMax, "server took more than it granted")
            }
        }
    }

    private func checkEnd() {
        guard failures.isEmpty else { return }
        for (id, record) in records {
            expect(record.outcomes == 1, "call \(id.rawValue) has \(record.outcomes) outcomes")
        }
        expect(client.pendingCount == 0, "\(client.pendingCount) calls never settled")
        expect(client.links.allSatisfy { $0.requestsInFlight == 0 }, "credit was not given back")
        expect(client.isReady, "no link at the end")
        for replica in replicas {
            expect(replica.machine.bodiesBytes == 0, "\(replica.machine.bodiesBytes) bytes of bodies left")
            expect(replica.machine.runningCount == 0, "\(replica.machine.runningCount) handlers left")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
package import MartletWire
package import NIOCore

/// An event as a subscriber receives it. The doorbell only: what must not be lost is read from the log.
package struct BusEvent: Sendable {
    package let topic: [UInt8]
    package let header: EventHeader
    package let payload: ByteBuffer
}

/// The event side of a node: the bound XPUB sockets, and one SUB per replica while somebody listens.
final class EventNode {
    private final class Subscriber {
        let target: ServiceName
        let topic: [UInt8]
        let deliver: (BusEvent) -> Bool

        init(target: ServiceName, topic: [UInt8], deliver: @escaping (BusEvent) -> Bool) {
            self.target = target
            self.topic = topic
            self.deliver = deliver
        }
    }

    private final class Feed {
        let target: ServiceName
        let endpoint: String
        var source: SocketSource?
        var monitor: SocketMonitor?
        var failures = 0
        var retryAt = BusTime(nanoseconds: 0)

        init(target: ServiceName, endpoint: String) {
            self.target = target
            self.endpoint = endpoint
        }
    }

    private let configuration: BusConfiguration
    private unowned let loop: BusLoop
    private let publishers: [(socket: ZeroMQSocket, endpoint: String)]
    private var publisherSources: [SocketSource] = []
    private var subscribers: [UInt64: Subscriber] = [:]
    private var feeds: [Feed] = []
    private let tick = TickSource()
    private var random = SplitMix64(seed: SystemRandomNumberGenerator.seed())
    private let message = ZeroMQMessage()
    private(set) var dropped: UInt64 = 0

    init(
        _ configuration: BusConfiguration, publishers: [(socket: ZeroMQSocket, endpoint: String)], loop: BusLoop
    ) {
        self.configuration = configuration
        self.publishers = publishers
        self.loop = loop
        for publisher in publishers {
            // Subscriptions arrive as messages; libzmq keeps them itself, we only take them away.
            publisherSources.append(
                loop.add(publisher.socket) { [message] budget in
                    for _ in 0..<budget where (try? publisher.socket.receive(into: message)) != true { return false }
                    return true
                })
        }
        tick.tick = { [unowned self] now in
            self.loop.setNow(now)
            self.connectDue()
        }
        loop.add(tick)
    }

    func publish(_ topic: [UInt8], _ header: EventHeader, _ payload: ByteBuffer) {
        guard topic.count <= BusLimits.topicBytesMax, payload.readableBytes <= configuration.limits.chunkBytesMax else {
            return
        }
        for (index, publisher) in publishers.enumerated() {
            let outcome = unsafe topic.withUnsafeBytes { bytes in
                unsafe try? publisher.socket.send(bytes, more: true)
            }
            guard outcome == .sent else { continue }
            unsafe loop.scratch.withHead(Prefix(kind: .event), { header.encode(into: &$0) }) { head in
                unsafe payload.withUnsafeReadableBytes { body in
                    _ = unsafe try? publisher.socket.send(head, body)
                }
            }
            loop.touch(publisherSources[index])
        }
    }

    /// Adds a subscriber; `deliver` returns false when it had no room.
    func subscribe(to target: ServiceName, topic: [UInt8], deliver: @escaping (BusEvent) -> Bool) -> UInt64 {
        let id = loop.nextNumber()
        subscribers[id] = Subscriber(target: target, topic: topic, deliver: deliver)
        let known = Set(feeds.filter { $0.target == target }.map(\.endpoint))
        for endpoint in (configuration.peers[target] ?? []).map(\.event)
        where !endpoint.isEmpty && !known.contains(endpoint) {
            feeds.append(Feed(target: target, endpoint: endpoint))
        }
        for feed in feeds where feed.target == target {
            try? feed.source?.socket.set(ZMQ_SUBSCRIBE, bytes: topic)
        }
        connectDue()
        return id
    }

    func unsubscribe(_ id: UInt64) {
        guard let gone = subscribers.removeValue(forKey: id) else { return }
        for feed in feeds where feed.target == gone.target {
            try? feed.source?.socket.set(ZMQ_UNSUBSCRIBE, bytes: gone.topic)
        }
        guard !subscribers.values.contains(where: { $0.target == gone.target }) else { return }
        for feed in feeds where feed.target == gone.target { close(feed) }
        feeds.removeAll { $0.target == gone.target }
    }

    func localEndpoint(_ endpoint: String, _ change: LocalEndpoints.Change) {
        for feed in feeds where feed.endpoint == endpoint {
            if change == .unbound { close(feed) }
            feed.retryAt = loop.now
        }
        if change == .bound { connectDue() }
    }

    func shutDown() {
        loop.remove(tick)
        for feed in feeds { close(feed) }
        feeds.removeAll()
        for (index, publisher) in publishers.enumerated() {
            loop.remove(publisherSources[index])
            if publisher.endpoint.hasPrefix("inproc://") { loop.localEndpoints.set(publisher.endpoint, .unbound) }
        }
    }

    private func close(_ feed: Feed) {
        feed.monitor?.close()
        feed.monitor = nil
        if let source = feed.source { loop.remove(source) }
        feed.source = nil
    }

    private func connectDue() {
        for feed in feeds where feed.source == nil && feed.retryAt <= loop.now {
            do throws(ZeroMQError) { try connect(feed) } catch { lost(feed) }
        }
        tick.next = feeds.filter { $0.source == nil }.map(\.retryAt).min() ?? .never
    }

    private func lost(_ feed: Feed) {
        close(feed)
        let limits = configuration.limits
        let bound = min(
            limits.reconnectFirst.nanoseconds << Int64(min(feed.failures, 20)),
            limits.reconnectMax.nanoseconds)
        feed.failures += 1
        feed.retryAt = loop.now + BusSpan(nanoseconds: 1_000_000 + Int64(random.next(below: UInt64(max(1, bound)))))
        tick.next = min(tick.next, feed.retryAt)
    }

    private func connect(_ feed: Feed) throws(ZeroMQError) {
        let isLocal = Endpoint(feed.endpoint) == .inproc
        if isLocal, !loop.localEndpoints.isBound(feed.endpoint) {
            throw ZeroMQError("zmq_connect", number: ECONNREFUSED)
        }
        let socket = try loop.makeSocket(.subscriber)
        let keys = configuration.serverKeys[feed.target] ?? []
        try socket.prepareClient(
            configuration.keys, serverKey: keys.isEmpty ? nil : keys[feed.failures % keys.count], isLocal: isLocal,
            messageBytesMax: configuration.limits.messageBytesMax)
        if !isLocal {
            // No beats of ours on this socket: the kernel notices a peer that vanished.
            try socket.set(ZMQ_TCP_KEEPALIVE, 1)
            try socket.set(ZMQ_TCP_KEEPALIVE_IDLE, 5)
            try socket.set(ZMQ_TCP_KEEPALIVE_INTVL, 2)
            try socket.set(ZMQ_TCP_KEEPALIVE_CNT, 3)
            feed.monitor = try SocketMonitor(socket, number: loop.nextNumber(), loop: loop) {
                [weak self, weak feed] event in
                guard let self, let feed else { return }
                if event == .ready { feed.failures = 0 } else { self.lost(feed) }
            }
        }
        for subscriber in subscribers.values where subscriber.target == feed.target {
            try socket.set(ZMQ_SUBSCRIBE, bytes: subscriber.topic)
        }
        feed.source = loop.add(socket) { [weak self, weak feed] budget in
            guard let self, let feed else { return false }
            return self.receive(feed, socket, budget)
        }
        try socket.connect(feed.endpoint)
    }

    private func receive(_ feed: Feed, _ socket: ZeroMQSocket, _ budget: Int) -> Bool {
        for _ in 0..<budget {
            guard !socket.isClosed, (try? socket.receive(into: message)) == true else { return false }
            guard message.hasMore, (try? socket.receive(into: loop.scratch.message)) == true else { continue }
            let topic = message.bytes
            var arrived: BusEvent?
            try? loop.scratch.withFrame { prefix, header, body in
                guard prefix.kind == .event else { return }
                arrived = BusEvent(
                    topic: topic, header: try EventHeader(decoding: header), payload: ByteBuffer(copying: body))
            }
            guard let event = arrived else {
                configuration.observer?(.badFrame)
                continue
            }
            // libzmq matches prefixes; ours are whole topics, and the empty one is everything.
            for subscriber in subscribers.values
            where subscriber.target == feed.target && (subscriber.topic.isEmpty || subscriber.topic == topic) {
                if !subscriber.deliver(event) {
                    dropped &+= 1
                    configuration.observer?(.eventDropped(target: feed.target))
                }
            }
        }
        return true
    }
}

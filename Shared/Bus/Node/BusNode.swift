// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import MartletWire
internal import NIOCore

/// One node of the bus on its thread: what it serves, whom it calls, its events. Touched by the bus thread alone.
final class BusNode {
    let configuration: BusConfiguration
    private unowned let loop: BusLoop
    private let domain: String
    private let introduction: Introduction
    private var listeners: [Listener]
    private(set) var server: ServerNode?
    /// At the places that `ServiceName.place` names.
    private var targetNodes = [TargetNode?](repeating: nil, count: ServiceName.allCases.count)
    private(set) var events: EventNode?
    private var resolvers: [NameResolver] = []
    private var localObserver: UInt64?
    private var isShutDown = false
    let boundRequestEndpoints: [String]
    let boundEventEndpoints: [String]

    /// Binds every endpoint; nothing is answered before `start`.
    init(_ configuration: BusConfiguration, loop: BusLoop) throws(BusError) {
        self.configuration = configuration
        self.loop = loop
        domain = "martlet/\(configuration.service.rawValue)/\(loop.nextNumber())"
        introduction = Introduction(
            service: configuration.service.rawValue, instance: configuration.instance,
            epoch: UInt64(clamping: loop.wallSeconds), requestsMax: UInt32(configuration.limits.requestsMax),
            bytesMax: UInt64(configuration.limits.bytesMax),
            payloadBytesMax: UInt64(configuration.limits.bodyBytesMax))
        do throws(ZeroMQError) {
            if loop.authenticator == nil { loop.authenticator = try Authenticator(loop) }
            (listeners, boundRequestEndpoints) = try Self.bindRequests(configuration, domain, loop)
            let publishers = try Self.bindEvents(configuration, domain, loop)
            boundEventEndpoints = publishers.map(\.endpoint)
            events = EventNode(configuration, publishers: publishers, loop: loop)
        } catch {
            throw BusError(.internalError, executed: .no, error.description)
        }
        let allowed = configuration.allowed
        loop.authenticator?.setDomain(domain) { [weak self, unowned loop] key in
            if let server = self?.server { return server.admits(key) }
            guard let entry = allowed.entries[key] else { return false }
            return entry.notAfter > loop.wallSeconds
        }
        if let observer = configuration.observer { loop.observers[loop.nextNumber()] = observer }
    }

    private static func bindRequests(_ configuration: BusConfiguration, _ domain: String, _ loop: BusLoop)
        throws(ZeroMQError) -> ([Listener], [String])
    {
        var listeners: [Listener] = []
        var names: [String] = []
        for endpoint in configuration.requestEndpoints {
            guard let kind = Endpoint(endpoint) else { throw ZeroMQError("zmq_bind \(endpoint)", number: EINVAL) }
            guard kind == .inproc else {
                let listener = try bind(endpoint, nil, configuration, domain, loop)
                listeners.append(listener)
                names.append(listener.endpoint)
                continue
            }
            names.append(endpoint)
            // One endpoint per caller: the endpoint is the identity.
            let parts = endpoint.dropFirst(9).split(separator: "/")
            let callers = parts.count > 1 ? parts.last.flatMap { ServiceName(rawValue: String($0)) }.map { [$0] } : nil
            if parts.count > 1, callers == nil { throw ZeroMQError("zmq_bind \(endpoint)", number: EINVAL) }
            for caller in callers ?? ServiceName.allCases.filter({ $0 != configuration.service }) {
                let address = callers == nil ? Endpoint.local(endpoint, caller: caller) : endpoint
                listeners.append(try bind(address, caller, configuration, domain, loop))
            }
        }
        return (listeners, names)
    }

    private static func bind(
        _ endpoint: String, _ caller: ServiceName?, _ configuration: BusConfiguration, _ domain: String,
        _ loop: BusLoop
    ) throws(ZeroMQError) -> Listener {
        let socket = try loop.makeSocket(.router)
        try prepare(socket, endpoint, configuration, domain)
        try socket.set(ZMQ_ROUTER_MANDATORY, 1)
        try bind(socket, endpoint)
        let bound = caller == nil ? try socket.lastEndpoint() : endpoint
        if caller != nil { loop.localEndpoints.set(bound, .bound) }
        return Listener(
            number: UInt32(truncatingIfNeeded: loop.nextNumber()), endpoint: bound, localCaller: caller, socket: socket)
    }

    private static func bindEvents(_ configuration: BusConfiguration, _ domain: String, _ loop: BusLoop)
        throws(ZeroMQError) -> [(socket: ZeroMQSocket, endpoint: String)]
    {
        var publishers: [(socket: ZeroMQSocket, endpoint: String)] = []
        for endpoint in configuration.eventEndpoints {
            let socket = try loop.makeSocket(.publisher)
            try prepare(socket, endpoint, configuration, domain)
            try bind(socket, endpoint)
            let isLocal = Endpoint(endpoint) == .inproc
            if isLocal { loop.localEndpoints.set(endpoint, .bound) }
            publishers.append((socket, isLocal ? endpoint : try socket.lastEndpoint()))
        }
        return publishers
    }

    private static func prepare(
        _ socket: ZeroMQSocket, _ endpoint: String, _ configuration: BusConfiguration, _ domain: String
    ) throws(ZeroMQError) {
        guard let kind = Endpoint(endpoint) else { throw ZeroMQError("zmq_bind \(endpoint)", number: EINVAL) }
        // Without keys there would be no peer identity, so there is no such listener.
        if kind != .inproc, configuration.keys == nil { throw ZeroMQError("zmq_bind \(endpoint)", number: EACCES) }
        try socket.prepareServer(
            configuration.keys, domain: domain, isLocal: kind == .inproc,
            messageBytesMax: configuration.limits.messageBytesMax)
    }

    private static func bind(_ socket: ZeroMQSocket, _ endpoint: String) throws(ZeroMQError) {
        do throws(ZeroMQError) { try socket.bind(endpoint) } catch {
            throw ZeroMQError("\(error.call) \(endpoint)", number: error.number)
        }
    }

    /// Begins to answer and to connect.
    func start(handlers: [UInt32: BusHandler], executor: BusThread) {
        guard server == nil, !isShutDown else { return }
        let server = ServerNode(
            configuration, handlers: handlers, introduction: introduction, listeners: listeners, executor: executor,
            loop: loop)
        self.server = server
        server.start()
        for target in configuration.peers.keys { _ = node(for: target) }
        localObserver = loop.localEndpoints.observe { [weak self] endpoint, change in
            self?.localEndpoint(endpoint, change)
        }
        for (target, replicas) in configuration.peers {
            let endpoints = replicas.map(\.request).filter { !$0.isEmpty }
            guard endpoints.contains(where: { Endpoint($0)?.isName == true }) else {
                node(for: target).setEndpoints(endpoints)
                continue
            }
            resolvers.append(
                NameResolver(endpoints) { [weak executor, handle = Confined(self)] found in
                    executor?.perform { _ in handle.value?.targets[target]?.setEndpoints(found) }
                })
        }
    }

    private func localEndpoint(_ endpoint: String, _ change: LocalEndpoints.Change) {
        // Binding and closing happen inside other nodes' work; links react after it.
        loop.later { [weak self] in
            guard let self else { return }
            for target in self.targets.values { target.localEndpoint(endpoint, change) }
            self.events?.localEndpoint(endpoint, change)
        }
    }

    /// The links to a service; a service that is not configured has none and its requests end as unavailable.
    func node(for target: ServiceName) -> TargetNode {
        if let node = targetNodes[target.place] { return node }
        let node = TargetNode(target, configuration, introduction: introduction, loop: loop)
        targetNodes[target.place] = node
        return node
    }

    /// Everybody who was called or is configured to be.
    var targets: [ServiceName: TargetNode] {
        var all: [ServiceName: TargetNode] = [:]
        for (target, node) in zip(ServiceName.allCases, targetNodes) { all[target] = node }
        return all
    }

    func shutDown() {
        guard !isShutDown else { return }
        isShutDown = true
        for resolver in resolvers { resolver.end() }
        if let localObserver { loop.localEndpoints.stopObserving(localObserver) }
        loop.authenticator?.setDomain(domain, nil)
        if let server {
            server.shutDown()
        } else {
            for listener in listeners {
                listener.socket.close()
                if listener.localCaller != nil { loop.localEndpoints.set(listener.endpoint, .unbound) }
            }
        }
        listeners.removeAll()
        for target in targets.values { target.shutDown() }
        events?.shutDown()
    }
}

/// A reference that travels between threads and is used on the bus thread only.
///
/// `@unchecked`: whoever reads `value` is inside `BusThread.perform`.
struct Confined<Value: AnyObject>: @unchecked Sendable {
    weak var value: Value?
    init(_ value: Value) { self.value = value }
}

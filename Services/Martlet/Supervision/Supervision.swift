// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit
internal import MartletWire

/// Decides what happens to the processes of the suite: starts, restarts, the order of the stop. Does nothing itself: the
/// owner tells it what happened and carries out what it returns.
struct Supervision {
    typealias Instant = ContinuousClock.Instant

    enum Action: Sendable, Equatable {
        case start(ServiceName)
        /// SIGTERM: stop in order.
        case terminate(ServiceName)
        /// SIGKILL: it had its time.
        case kill(ServiceName)
        /// All services are ready, for the first time.
        case announce
        case note(Note)
        /// No process is left; this is the exit status of all.
        case end(Int32)
    }

    /// What a person should read about it.
    enum Note: Sendable, Equatable {
        case restarts(ServiceName, ProcessEnd, after: Duration)
        /// It cannot start, or not now: everything stops.
        case fails(ServiceName, ProcessEnd)
        /// It ended badly while everything stopped.
        case stopsBadly(ServiceName, ProcessEnd)
    }

    private enum State: Equatable {
        case waiting(until: Instant)
        case running(since: Instant)
        case ended
    }

    private struct Child {
        var state: State
        var isReady = false
        var hasBeenReady = false
        /// Ends in a row, each after a short life.
        var failures = 0
    }

    private struct Stop {
        let begin: Instant
        var status: Int32
        var othersAreTold = false
        var isKilling = false
    }

    private let services: [ServiceName]
    private let limits: SupervisionLimits
    private var children: [ServiceName: Child] = [:]
    private var stopping: Stop?
    private var isAnnounced = false

    init(services: [ServiceName], limits: SupervisionLimits) {
        self.services = services
        self.limits = limits
    }

    mutating func begin(at now: Instant) -> [Action] { services.map { start($0, at: now) } }

    /// Those that run and have not said yet that they are ready.
    var unready: [ServiceName] { services.filter { isRunning($0) && children[$0]?.isReady == false } }

    /// When `timePassed` has something to do, if nothing else happens.
    var nextDeadline: Instant? {
        if let stopping {
            if stopping.isKilling { return nil }
            return stopping.begin + (stopping.othersAreTold ? limits.killAfter : limits.edgeMax)
        }
        return services.compactMap { service in
            guard case .waiting(let until) = children[service]?.state else { return nil }
            return until
        }.min()
    }

    mutating func becameReady(_ service: ServiceName) -> [Action] {
        guard isRunning(service) else { return [] }
        children[service]?.isReady = true
        children[service]?.hasBeenReady = true
        guard !isAnnounced, stopping == nil, services.allSatisfy({ children[$0]?.isReady == true }) else { return [] }
        isAnnounced = true
        return [.announce]
    }

    mutating func ended(_ service: ServiceName, _ end: ProcessEnd, at now: Instant) -> [Action] {
        guard var child = children[service], case .running(let since) = child.state else { return [] }
        child.isReady = false
        child.state = .ended
        if let stopping {
            children[service] = child
            guard end != .exited(0) else { return goOnStopping(at: now) }
            if stopping.status == 0 { self.stopping?.status = StartFailure.Status.internalError.rawValue }
            return [.note(.stopsBadly(service, end))] + goOnStopping(at: now)
        }
        child.failures = since.duration(to: now) >= limits.soundLife ? 1 : child.failures + 1
        if let status = fatalStatus(of: end, child) {
            children[service] = child
            return [.note(.fails(service, end))] + stop(at: now, status: status)
        }
        let delay = limits.delay(afterFailures: child.failures)
        child.state = .waiting(until: now + delay)
        children[service] = child
        return [.note(.restarts(service, end, after: delay))]
    }

    /// Asked again it does nothing: one Ctrl-C may arrive twice.
    mutating func stop(at now: Instant, status: Int32 = 0) -> [Action] {
        guard stopping == nil else { return [] }
        stopping = Stop(begin: now, status: status)
        for service in services where !isRunning(service) { children[service]?.state = .ended }
        // The edge first, since it needs the others for what it has in hand.
        return (isRunning(.edge) ? [.terminate(.edge)] : []) + goOnStopping(at: now)
    }

    mutating func timePassed(at now: Instant) -> [Action] {
        if stopping != nil { return goOnStopping(at: now) }
        return services.compactMap { service in
            guard case .waiting(let until) = children[service]?.state, until <= now else { return nil }
            return start(service, at: now)
        }
    }

    private mutating func goOnStopping(at now: Instant) -> [Action] {
        guard var stop = stopping else { return [] }
        let running = services.filter(isRunning)
        guard !running.isEmpty else { return [.end(stop.status)] }
        var actions: [Action] = []
        if !stop.othersAreTold, !running.contains(.edge) || now >= stop.begin + limits.edgeMax {
            stop.othersAreTold = true
            actions += running.filter { $0 != .edge }.map(Action.terminate)
        }
        if !stop.isKilling, now >= stop.begin + limits.killAfter {
            stop.isKilling = true
            actions += running.map(Action.kill)
        }
        stopping = stop
        return actions
    }

    private mutating func start(_ service: ServiceName, at now: Instant) -> Action {
        children[service, default: Child(state: .ended)].state = .running(since: now)
        return .start(service)
    }

    private func isRunning(_ service: ServiceName) -> Bool {
        if case .running = children[service]?.state { true } else { false }
    }

    /// The exit status of all when another start cannot help; nil when it can.
    private func fatalStatus(of end: ProcessEnd, _ child: Child) -> Int32? {
        let status: Int32
        switch end {
        case .exited(let code): status = code
        case .signalled: status = StartFailure.Status.internalError.rawValue
        }
        switch StartFailure.Status(rawValue: status) {
        case .usage, .configuration, .cannotCreate: return status
        // A port or a lock may be taken for a moment when a process has just died.
        case .unavailable, .alreadyRunning: if !child.hasBeenReady { return status }
        case .internalError, nil: break
        }
        guard !child.hasBeenReady, child.failures >= limits.firstStartsMax else { return nil }
        return StartFailure.Status.internalError.rawValue
    }
}

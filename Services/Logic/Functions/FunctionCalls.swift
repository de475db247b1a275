// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletServiceKit
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// Calls the functions of a project: bounds how many at once, finds who answers, and turns failures into the contract's.
final class FunctionCalls: FunctionCaller {
    private let catalogue: FunctionCatalogue
    private let group: any EventLoopGroup
    private let logger: Logger
    private let metrics: FunctionMetrics
    private let workers: FunctionWorkers?
    private let gates = Mutex<[String: ConcurrencyGate]>([:])
    private let upstreams = Mutex<[FunctionEndpoint: FunctionConnections]>([:])

    /// Without `workers` only upstreams answer.
    init(
        catalogue: FunctionCatalogue, workers: FunctionWorkers?, group: any EventLoopGroup, logger: Logger,
        metrics: FunctionMetrics
    ) {
        self.workers = workers
        self.catalogue = catalogue
        self.group = group
        self.logger = logger
        self.metrics = metrics
    }

    func call(
        _ name: String, _ request: FunctionRequest, deadline: ContinuousClock.Instant
    ) async throws(FunctionFailure) -> FunctionResponse {
        let started = ContinuousClock.now
        do throws(FunctionFailure) {
            guard let entry = catalogue.entry(name) else {
                throw FunctionFailure(code: .notFound, wasDelivered: false)
            }
            var request = request
            request.headers = try Self.prepared(request.headers, request.trace)
            let gate = gate(of: entry)
            let deadline = min(deadline, started + entry.totalTimeout)
            try await gate.enter(until: deadline)
            #if !MUTANT_FUNCTION_TURN_KEPT
                defer { gate.leave() }
            #endif
            var response = try await answer(entry, request, deadline: deadline)
            #if MUTANT_FUNCTION_TURN_KEPT
                gate.leave()
            #endif
            response.headers = HopByHop.removed(from: response.headers, and: Self.notAnswered)
            metrics.note(code: nil, since: started)
            return response
        } catch {
            metrics.note(code: error.code, since: started)
            if error.code != .notFound {
                logger.with(request.trace).warning(
                    "A function did not answer.",
                    metadata: [
                        "function.name": "\(name)", "error.code": "\(error.code.rawValue)",
                        "error.detail": "\(error.detail)", "function.delivered": "\(error.wasDelivered)",
                    ])
            }
            throw error
        }
    }

    /// Ends connections and workers; nobody calls any more.
    func close() async {
        await workers?.close()
        for connections in upstreams.withLock({ Array($0.values) }) { connections.close() }
    }

    /// What a function cannot say for the platform, or what the edge says itself.
    private static let notAnswered: Set<String> = ["content-length", "date", "x-relay-error", "x-request-id"]
    private static let hopsField = "x-martlet-hops"

    /// Without what belongs to a connection or to a trace before, and one hop further.
    private static func prepared(
        _ headers: [HTTPField], _ trace: TraceContext
    ) throws(FunctionFailure) -> [HTTPField] {
        let hops = headers.last { $0.name == hopsField }.flatMap { Int($0.value) } ?? 0
        guard hops < FunctionLimits.hopsMax else { throw FunctionFailure(code: .loopDetected, wasDelivered: false) }
        var fields = HopByHop.removed(
            from: headers, and: ["content-length", "expect", hopsField, "x-request-id", "traceparent"])
        fields.append(HTTPField(hopsField, String(max(hops, 0) + 1)))
        if !trace.requestID.isEmpty { fields.append(HTTPField("x-request-id", trace.requestID)) }
        if !trace.traceparent.isEmpty { fields.append(HTTPField("traceparent", trace.traceparent)) }
        return fields
    }

    private func answer(
        _ entry: FunctionEntry, _ request: FunctionRequest, deadline: ContinuousClock.Instant
    ) async throws(FunctionFailure) -> FunctionResponse {
        switch entry.kind {
        case .http(let url):
            guard let (endpoint, path, authority) = FunctionEndpoint.upstream(url) else {
                throw FunctionFailure(code: .bootError, wasDelivered: false, detail: "no upstream: \(url)")
            }
            var request = request
            let rest = request.target.dropFirst(1 + entry.name.utf8.count)
            request.target = path.isEmpty && rest.first != "/" ? "/\(rest)" : path + rest
            request.headers.removeAll { $0.name == "host" }
            request.headers.append(HTTPField("host", authority))
            do throws(ExchangeFailure) {
                return try await connections(to: endpoint).exchange(
                    request, idleTimeout: entry.idleTimeout, deadline: deadline)
            } catch {
                throw Self.failure(error)
            }
        case .deno, .process:
            guard let workers else {
                throw FunctionFailure(code: .bootError, wasDelivered: false, detail: "there are no workers")
            }
            return try await workers.answer(entry, request, deadline: deadline)
        }
    }

    static func failure(_ error: ExchangeFailure) -> FunctionFailure {
        let code: FunctionFailure.Code =
            switch error.reason {
            case .refused: .bootError
            case .closed: .workerError
            case .answerTooLarge: .workerLimit
            case .timedOut, .full, .cancelled: .idleTimeout
            }
        return FunctionFailure(code: code, wasDelivered: error.wasDelivered, detail: error.detail)
    }

    private func gate(of entry: FunctionEntry) -> ConcurrencyGate {
        gates.withLock { gates in
            if let gate = gates[entry.name] { return gate }
            let gate = ConcurrencyGate(
                runningMax: entry.concurrency, queueMax: entry.queueMax, loop: group.any())
            gates[entry.name] = gate
            return gate
        }
    }

    private func connections(to endpoint: FunctionEndpoint) -> FunctionConnections {
        upstreams.withLock { upstreams in
            if let connections = upstreams[endpoint] { return connections }
            let connections = FunctionConnections(endpoint, group: group)
            upstreams[endpoint] = connections
            return connections
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Logging
internal import MartletAccessTokens
internal import MartletBus
internal import MartletServiceKit
internal import MartletTracing
internal import MartletWire
internal import NIOCore
internal import NIOHTTP1

/// What happens to each request: its address, its key, its token, and who answers.
final class FrontDoor: EdgeResponder {
    private let bus: Bus
    private let gatekeeper: Gatekeeper
    private let refresher: KeyRefresher
    private let fuse: ClientFuse
    private let addresses: ClientAddress
    private let site: StaticSite
    private let health: HealthReport
    private let link: RealtimeLink
    private let publicKey: String
    private let requestTimeout: Duration
    private let accessLog: AccessLog
    private let logger: Logger
    private let metrics: EdgeMetrics
    private let tracer: Tracer

    init(
        context: ServiceContext, gatekeeper: Gatekeeper, refresher: KeyRefresher, site: StaticSite,
        health: HealthReport, link: RealtimeLink, metrics: EdgeMetrics
    ) {
        bus = context.bus
        self.gatekeeper = gatekeeper
        self.refresher = refresher
        fuse = ClientFuse(requestsPerSecond: context.settings[\.edge.clientRequestsPerSecond])
        addresses = ClientAddress(trustedProxies: context.settings[\.edge.trustedProxies])
        self.site = site
        self.health = health
        self.link = link
        publicKey = gatekeeper.keys.anon
        requestTimeout = context.settings[\.edge.requestTimeout]
        accessLog = context.settings[\.edge.accessLog]
        logger = context.logger
        self.metrics = metrics
        tracer = context.tracer
    }

    func begin(_ request: EdgeRequest, _ answer: @escaping @Sendable (EdgeResponse) -> Void) -> Task<Void, Never> {
        Task(executorPreference: bus.executor) { answer(await self.respond(to: request)) }
    }

    func open(_ request: EdgeRequest, _ answer: @escaping @Sendable (UpgradeAnswer) -> Void) -> Task<Void, Never> {
        guard let target = RequestTarget(request.target), let (route, path) = RouteTable.match(target.path),
            RouteTable.isSocket(route, path)
        else { return begin(request) { answer(.response($0)) } }
        return Task(executorPreference: bus.executor) { answer(await self.admit(request, target, route)) }
    }

    func refuse(_ error: EdgeError, target: String?, headers: HTTPHeaders?, peer: String) -> EdgeResponse {
        var visit = Visit(
            headers: headers ?? [:], peer: peer, addresses: addresses, target: target ?? "-", tracer: tracer)
        if let path = target.flatMap({ RequestTarget($0) })?.path { visit.route = RouteTable.match(path)?.route }
        return finish(render(error, visit), visit, method: "-", target: target ?? "-")
    }

    // MARK: Answering

    private func visit(_ request: EdgeRequest) -> Visit {
        Visit(
            headers: request.headers, peer: request.peer, addresses: addresses, target: request.target, tracer: tracer)
    }

    private func respond(to request: EdgeRequest) async -> EdgeResponse {
        var visit = visit(request)
        let response: EdgeResponse
        do throws(EdgeError) {
            response = try await answer(request, &visit)
        } catch {
            response = render(error, visit)
        }
        return finish(response, visit, method: request.method.rawValue, target: request.target)
    }

    /// Lets a client have its WebSocket, or says why not (RT-01, RT-07).
    private func admit(_ request: EdgeRequest, _ target: RequestTarget, _ route: Route) async -> UpgradeAnswer {
        var visit = visit(request)
        visit.route = route
        do throws(EdgeError) {
            guard fuse.admit(visit.clientAddress, second: visit.startedSecond) else { throw .tooManyRequests }
            try WebSocketHandshake.check(request.headers)
            let principal = try gatekeeper.socketPrincipal(
                ofKey: Self.apiKey(request, target, route), now: WallTime.now.seconds)
            guard await link.becomesReady() else { throw EdgeError(.unavailable, retryAfterMilliseconds: 0) }
            metrics.note(prefix: route.prefix, status: 101, since: visit.started)
            visit.endSpan(status: 101, method: "GET", target: request.target)
            return .socket(
                SocketRequest(
                    query: target.query, clientAddress: visit.clientAddress,
                    serializer: target.parameter("vsn") == "2.0.0" ? 2 : 1, role: principal.role,
                    claims: principal.claims, token: principal.token, expiresAt: principal.expiresAt))
        } catch {
            return .response(finish(render(error, visit), visit, method: "GET", target: request.target))
        }
    }

    private func answer(_ request: EdgeRequest, _ visit: inout Visit) async throws(EdgeError) -> EdgeResponse {
        guard let target = RequestTarget(request.target) else { throw .badTarget }
        guard let (route, path) = RouteTable.match(target.path) else {
            guard fuse.admit(visit.clientAddress, second: visit.startedSecond) else { throw .tooManyRequests }
            return try await answerOwn(request, target, visit)
        }
        visit.route = route
        if request.method == .OPTIONS, request.headers.contains(name: "origin"),
            request.headers.contains(name: "access-control-request-method")
        {
            guard route.cors.isLeftToOwner else { return preflight(route, request.headers) }
            return try await ownersPreflight(request, target, route, path, visit)
        }
        // Back ends call for many people from one address, and the project's functions from this machine's own: the fuse
        // is for whoever has no more than the public key.
        if !(Self.apiKey(request, target, route).map(gatekeeper.keys.isServiceKey) ?? false) {
            guard fuse.admit(visit.clientAddress, second: visit.startedSecond) else { throw .tooManyRequests }
        }
        if RouteTable.isSocket(route, path), request.method == .GET { throw .upgradeRequired }
        var principal = try await principal(of: request, target, route, path)
        principal.clientAddress = visit.clientAddress
        return try await forward(request, target, path: path, to: route, principal, visit)
    }

    private func principal(
        of request: EdgeRequest, _ target: RequestTarget, _ route: Route, _ path: Substring
    ) async throws(EdgeError) -> Principal {
        var credentials = Gatekeeper.Credentials()
        credentials.apiKey = Self.apiKey(request, target, route)
        credentials.authorization = request.headers.first(name: "authorization")
        var principal = try await gatekeeper.principal(
            of: credentials, route: route, path: path, now: WallTime.now.seconds,
            learning: { [refresher] in await refresher.refreshForUnknownKey() })
        // It goes along as a field, and there is room for one of the two only.
        if route.passesAllFields { principal.token = "" }
        return principal
    }

    private static func apiKey(_ request: EdgeRequest, _ target: RequestTarget, _ route: Route) -> String? {
        if let key = request.headers.first(name: "apikey") { return key }
        if route.takesXAPIKey, let key = request.headers.first(name: "x-api-key") { return key }
        return request.method == .GET || request.method == .HEAD ? target.parameter("apikey") : nil
    }

    private func forward(
        _ request: EdgeRequest, _ target: RequestTarget, path: Substring, to route: Route, _ principal: Principal,
        _ visit: Visit
    ) async throws(EdgeError) -> EdgeResponse {
        let isRead = request.method == .GET || request.method == .HEAD || request.method == .OPTIONS
        let head = HTTPRequestHead(
            method: request.method.rawValue, path: String(path), query: target.query,
            fields: route.passesAllFields ? forwardedAll(request) : Self.forwarded(request.headers))
        // Where the owner gets the key itself nothing is repeated on its account.
        let isKeyed = !isRead && !route.passesAllFields
        let header = RequestHeader(
            trace: visit.trace, principal: principal,
            idempotencyKey: isKeyed ? request.headers.first(name: "idempotency-key") ?? "" : "", http: head)
        let reply: (header: ReplyHeader, payload: ByteBuffer)
        do throws(BusError) {
            reply = try await bus.request(
                isRead ? MethodRegistry.httpRead : MethodRegistry.httpWrite, to: route.owner, header: header,
                payload: request.body, deadline: .now.advanced(by: route.timeout ?? requestTimeout))
        } catch {
            if error.code != .cancelled {
                logger.warning(
                    "A service did not answer.",
                    metadata: [
                        "request.id": "\(visit.requestID)", "bus.target": "\(route.owner.rawValue)",
                        "bus.code": "\(error.code.name)", "error.detail": "\(error.message)",
                    ])
            }
            throw EdgeError(error.code, retryAfterMilliseconds: error.retryAfterMilliseconds)
        }
        guard let answered = reply.header.http else { throw EdgeError(.internalError, retryAfterMilliseconds: 0) }
        var response = EdgeResponse(status: Int(answered.status), body: .bytes(reply.payload))
        response.headers.reserveCapacity(answered.fields.count + 5)
        for field in answered.fields { response.headers.append((field.name, field.value)) }
        return response
    }

    private static let notForwarded = FieldNames([
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
        "upgrade", "cookie", "authorization", "apikey", "x-api-key", "expect", "content-length", "host",
        "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "traceparent", "x-request-id",
        "idempotency-key",
    ])

    private static func forwarded(_ headers: HTTPHeaders) -> [HTTPField] {
        var fields: [HTTPField] = []
        fields.reserveCapacity(headers.count)
        for (name, value) in headers where !notForwarded.contains(name) {
            fields.append(HTTPField(name.lowercased(), value))
        }
        return fields
    }

    private static let notForwardedAll = FieldNames([
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
        "upgrade", "expect", "content-length", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
        "x-forwarded-prefix", "x-real-ip", "forwarded", "traceparent", "x-request-id", "x-martlet-claims",
    ])

    /// All fields of the client but those of its connection, and where it reached the edge.
    private func forwardedAll(_ request: EdgeRequest) -> [HTTPField] {
        var fields: [HTTPField] = []
        fields.reserveCapacity(request.headers.count + 2)
        for (name, value) in request.headers where !Self.notForwardedAll.contains(name) {
            fields.append(HTTPField(name.lowercased(), value))
        }
        let isTrusted = addresses.isTrusted(request.peer)
        let given = isTrusted ? request.headers.first(name: "x-forwarded-proto") : nil
        let host = isTrusted ? request.headers.first(name: "x-forwarded-host") : nil
        fields.append(HTTPField("x-forwarded-proto", given == "https" ? "https" : "http"))
        if let host = host ?? request.headers.first(name: "host") { fields.append(HTTPField("x-forwarded-host", host)) }
        return fields
    }

    /// The owner's answer to a preflight if it says anything about other origins, else ours: a function that is not
    /// there, or fails, must not hide from a script why.
    private func ownersPreflight(
        _ request: EdgeRequest, _ target: RequestTarget, _ route: Route, _ path: Substring, _ visit: Visit
    ) async throws(EdgeError) -> EdgeResponse {
        guard fuse.admit(visit.clientAddress, second: visit.startedSecond) else { throw .tooManyRequests }
        do throws(EdgeError) {
            let principal = Principal(clientAddress: visit.clientAddress)
            let response = try await forward(request, target, path: path, to: route, principal, visit)
            if Self.speaksOfOrigins(response) { return response }
        } catch {
            logger.debug("A preflight is answered without its owner.", metadata: ["error.code": "\(error.code)"])
        }
        return preflight(route, request.headers)
    }

    private static func speaksOfOrigins(_ response: EdgeResponse) -> Bool {
        response.headers.contains { $0.name.lowercased().hasPrefix("access-control-") }
    }

    private func preflight(_ route: Route, _ headers: HTTPHeaders) -> EdgeResponse {
        let cors = route.cors
        return EdgeResponse(
            status: cors.preflightStatus,
            headers: [
                ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Methods", cors.methods),
                (
                    "Access-Control-Allow-Headers",
                    cors.allowedHeaders(requested: headers.first(name: "access-control-request-headers"))
                ),
                ("Access-Control-Max-Age", String(cors.maxAgeSeconds)),
            ])
    }

    // MARK: The edge's own addresses

    private func answerOwn(
        _ request: EdgeRequest, _ target: RequestTarget, _ visit: Visit
    ) async throws(EdgeError) -> EdgeResponse {
        let isRead = request.method == .GET || request.method == .HEAD
        switch target.path {
        case "/health":
            guard isRead else { throw .methodNotAllowed("GET, HEAD") }
            let (isReady, body) = await health.collect()
            return EdgeResponse(
                status: isReady ? 200 : 503,
                headers: [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
                body: .bytes(ByteBuffer(string: body)))
        case "/.well-known/martlet.json":
            // What a page of the application needs to begin: the key that is public anyway.
            guard isRead else { throw .methodNotAllowed("GET, HEAD") }
            return EdgeResponse(
                status: 200,
                headers: [
                    ("Content-Type", "application/json"), ("Cache-Control", "no-cache"),
                    ("Access-Control-Allow-Origin", "*"),
                ], body: .bytes(ByteBuffer(string: #"{"anon_key":"\#(publicKey)"}"#)))
        default: break
        }
        let known = request.headers[canonicalForm: "if-none-match"]
        guard let path = target.decodedPath,
            let file = await site.find(path, reading: request.method == .GET && known.isEmpty)
        else { throw .notFound }
        guard isRead else { throw .methodNotAllowed("GET, HEAD") }
        let headers = [("ETag", file.entityTag), ("Cache-Control", "no-cache")]
        if known.contains(where: { $0 == file.entityTag || $0 == "*" || $0 == "W/\(file.entityTag)" }) {
            return EdgeResponse(status: 304, headers: headers)
        }
        return EdgeResponse(
            status: 200, headers: [("Content-Type", file.contentType)] + headers,
            body: file.content.map { .bytes($0) } ?? .file(file))
    }

    // MARK: Finishing

    private func render(_ error: EdgeError, _ visit: Visit) -> EdgeResponse {
        let dialect = visit.route?.errors ?? .plain
        let (body, headers) = dialect.render(error, requestID: visit.requestID, apiVersion: visit.apiVersion)
        var response = EdgeResponse(status: error.status, headers: headers, body: .bytes(ByteBuffer(string: body)))
        if let seconds = error.retryAfterSeconds { response.headers.append(("Retry-After", String(seconds))) }
        if error.status == 426 {
            response.headers.append(("Upgrade", "websocket"))
            response.headers.append(("Sec-WebSocket-Version", "13"))
        }
        if let allow = error.allow { response.headers.append(("Allow", allow)) }
        response.closes = error.closes
        return response
    }

    private func finish(_ response: EdgeResponse, _ visit: Visit, method: String, target: String) -> EdgeResponse {
        var response = response
        if !response.headers.contains(where: { FieldNames.isEqual($0.name, "x-content-type-options") }) {
            response.headers.append(("X-Content-Type-Options", "nosniff"))
        }
        response.headers.append(("X-Request-Id", visit.requestID))
        if let cors = visit.route?.cors, visit.hasOrigin, !cors.isLeftToOwner || !Self.speaksOfOrigins(response) {
            if !response.headers.contains(where: { FieldNames.isEqual($0.name, "access-control-allow-origin") }) {
                response.headers.append(("Access-Control-Allow-Origin", "*"))
            }
            response.headers.append(("Access-Control-Expose-Headers", cors.exposed))
        }
        metrics.note(prefix: visit.route?.prefix ?? "/", status: response.status, since: visit.started)
        visit.endSpan(status: response.status, method: method, target: target)
        if accessLog.holds(status: response.status, isRead: Self.isRead(method)) {
            let (seconds, attoseconds) = visit.started.duration(to: .now).components
            // The query may hold what is nobody's business: it stays out of the log.
            logger.info(
                response.status >= 400 ? "Refused." : "Answered.",
                metadata: [
                    "request.id": "\(visit.requestID)", "trace.id": "\(visit.traceID)", "http.method": "\(method)",
                    "http.path": "\(target.prefix { $0 != "?" })", "http.status": "\(response.status)",
                    "http.milliseconds": "\(seconds * 1_000 + attoseconds / 1_000_000_000_000_000)",
                    "client.address": "\(visit.clientAddress)",
                ])
        }
        return response
    }

    private static func isRead(_ method: String) -> Bool { method == "GET" || method == "HEAD" || method == "OPTIONS" }
}

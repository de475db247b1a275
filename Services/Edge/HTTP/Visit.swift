// SPDX-License-Identifier: Apache-2.0

internal import MartletTracing
internal import MartletWire
internal import NIOHTTP1

/// What the edge knows about one request from its beginning to its log line.
struct Visit: Sendable {
    /// The request's id, and the client's trace or a new one, at the span that is this visit.
    var trace: TraceContext { span.context }
    private let span: Span
    /// What the client calls us; read only for a span.
    private let host: String?
    let clientAddress: String
    let started = ContinuousClock.now
    let hasOrigin: Bool
    /// `X-Supabase-Api-Version`.
    let apiVersion: String?
    var route: Route?

    init(headers: HTTPHeaders, peer: String, addresses: ClientAddress, target: String, tracer: Tracer) {
        let forwarded = headers["x-forwarded-for"]
        clientAddress = forwarded.isEmpty ? peer : addresses.resolve(peer: peer, forwardedFor: forwarded)
        hasOrigin = headers.contains(name: "origin")
        apiVersion = headers.first(name: "x-supabase-api-version")
        // A client may go on with a trace; what the request is called is for a proxy of ours to say.
        let isTrusted = addresses.isTrusted(peer)
        var trace = TraceContext(
            givenRequestID: isTrusted ? headers.first(name: "x-request-id") : nil,
            givenTraceparent: headers.first(name: "traceparent"))
        let isBegunHere = trace.traceID == nil
        if isBegunHere {
            let begun = TraceContext.new()
            trace.traceparent = begun.traceparent
            // One word then finds everything, from the answer's header to the mail.
            if trace.requestID.isEmpty { trace.requestID = begun.requestID }
        } else if trace.requestID.isEmpty {
            trace.requestID = TraceContext.newTraceID()
        }
        // Probes come every few seconds and say nothing.
        let tracer = target == "/health" ? Tracer.off : tracer
        span = isBegunHere ? tracer.beginTrace("HTTP", .server, trace) : tracer.begin("HTTP", .server, in: trace)
        host = span.isRecording ? headers.first(name: "host") : nil
    }

    /// The visit is over. The route is the prefix: what stands behind it is the owner's business.
    func endSpan(status: Int, method: String, target: String) {
        span.end(
            name: route.map { "\(Self.known(method)) \($0.prefix)" } ?? Self.known(method),
            // Of a server only what is its own fault is an error.
            error: status >= 500 ? String(status) : nil
        ) { attributes in
            attributes.set(.httpMethod, Self.known(method))
            attributes.set(.httpRoute, route?.prefix)
            attributes.set(.urlPath, String(target.prefix { $0 != "?" }))
            attributes.set(.urlScheme, "http")
            attributes.set(.httpStatus, status)
            attributes.set(.clientAddress, clientAddress)
            let name = host.map { $0.hasPrefix("[") ? $0.prefix { $0 != "]" }.dropFirst() : $0.prefix { $0 != ":" } }
            attributes.set(.serverAddress, name.map(String.init))
        }
    }

    private static let methods: Set<String> = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ]

    /// The conventions' word for those that anybody may invent.
    private static func known(_ method: String) -> String { methods.contains(method) ? method : "_OTHER" }

    var requestID: String { trace.requestID }
    var traceID: Substring { trace.traceID ?? "" }

    /// A clock for the fuse: whole seconds since the system started.
    var startedSecond: Int64 { Self.origin.duration(to: started).components.seconds }

    private static let origin = ContinuousClock.now
}

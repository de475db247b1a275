// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOHTTP1

/// What the edge knows about one request from its beginning to its log line.
struct Visit: Sendable {
    /// The request's id, and the client's trace or a new one.
    let trace: TraceContext
    let clientAddress: String
    let started = ContinuousClock.now
    let hasOrigin: Bool
    /// `X-Supabase-Api-Version`.
    let apiVersion: String?
    var route: Route?

    init(headers: HTTPHeaders, peer: String, addresses: ClientAddress) {
        let forwarded = headers["x-forwarded-for"]
        clientAddress = forwarded.isEmpty ? peer : addresses.resolve(peer: peer, forwardedFor: forwarded)
        hasOrigin = headers.contains(name: "origin")
        apiVersion = headers.first(name: "x-supabase-api-version")
        // A client may go on with a trace; what the request is called is for a proxy of ours to say.
        let isTrusted = addresses.isTrusted(peer)
        var trace = TraceContext(
            givenRequestID: isTrusted ? headers.first(name: "x-request-id") : nil,
            givenTraceparent: headers.first(name: "traceparent"))
        if trace.traceID == nil {
            let begun = TraceContext.new()
            trace.traceparent = begun.traceparent
            // One word then finds everything, from the answer's header to the mail.
            if trace.requestID.isEmpty { trace.requestID = begun.requestID }
        } else if trace.requestID.isEmpty {
            trace.requestID = TraceContext.newTraceID()
        }
        self.trace = trace
    }

    var requestID: String { trace.requestID }
    var traceID: Substring { trace.traceID ?? "" }

    /// A clock for the fuse: whole seconds since the system started.
    var startedSecond: Int64 { Self.origin.duration(to: started).components.seconds }

    private static let origin = ContinuousClock.now
}

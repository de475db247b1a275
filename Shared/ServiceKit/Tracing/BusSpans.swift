// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletTracing
internal import MartletWire

/// A span for each request that a service handles; its handler sees the span's context as its own.
enum BusSpans {
    /// What nobody's request causes: questions that wait for the next thing to happen, and the suite's own upkeep.
    private static let unrecorded: Set<UInt32> = [
        MethodRegistry.systemStatus.id, MethodRegistry.authKeys.id, MethodRegistry.logPull.id,
        MethodRegistry.feedDescribe.id, MethodRegistry.realtimeSend.id, MethodRegistry.realtimeReceive.id,
    ]

    private static let system = "martlet"

    static func around(_ tracer: Tracer) -> @Sendable (InboundRequest, BusHandler) async -> OutboundReply {
        { request, handler in
            guard !unrecorded.contains(request.method.id) else { return await handler(request) }
            let span = tracer.begin(request.method.name, .server, in: request.header.trace)
            guard span.isRecording else { return await handler(request) }
            var inner = request
            inner.header.traceparent = span.context.traceparent
            let reply = await handler(inner)
            span.end(error: error(of: reply)) { attributes in
                attributes.set(.rpcSystem, system)
                attributes.set(.rpcMethod, request.method.name)
                attributes.set(.caller, request.caller.rawValue)
                attributes.set(.rpcStatus, reply.header.code.name)
                if let head = request.header.http {
                    attributes.set(.httpMethod, head.method)
                    attributes.set(.urlPath, head.path)
                }
                if let head = reply.header.http { attributes.set(.httpStatus, Int(head.status)) }
            }
            return reply
        }
    }

    /// A refusal that the caller brought about is an answer, not a failure.
    private static func error(of reply: OutboundReply) -> String? {
        if reply.header.code != .ok { return reply.header.code.name }
        guard let status = reply.header.http?.status, status >= 500 else { return nil }
        return String(status)
    }
}

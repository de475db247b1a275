// SPDX-License-Identifier: Apache-2.0

/// How spans are written (OTLP 1.x, opentelemetry/proto/trace/v1/trace.proto). A span is written when it ends, so that
/// what waits is bytes that can be counted; a request is put together around them.
package enum SpanEncoding: String, Sendable, CaseIterable {
    case protobuf = "http/protobuf"
    case json = "http/json"

    var mediaType: String { self == .json ? "application/json" : "application/x-protobuf" }

    /// Of the names in `AttributeKey`.
    static let schema = "https://opentelemetry.io/schemas/1.44.0"

    /// One span, as an element of `ScopeSpans.spans`.
    func encode(_ record: SpanRecord) -> [UInt8] {
        switch self {
        case .protobuf: ProtobufSpans.span(record)
        case .json: JSONSpans.span(record)
        }
    }

    /// The body of a request: the spans of each source, one after the other as `encode` wrote them.
    func body(_ parts: [(source: SpanSource, spans: [UInt8])]) -> [UInt8] {
        switch self {
        case .protobuf: ProtobufSpans.request(parts)
        case .json: JSONSpans.request(parts)
        }
    }

    /// Between two spans.
    var separator: [UInt8] { self == .json ? [UInt8(ascii: ",")] : [] }
}

/// The service that spans come from: OpenTelemetry's resource.
package struct SpanSource: Sendable, Equatable {
    package var name: String
    package var instance: String
    package var version: String
    package var environment: String

    package init(name: String, instance: String, version: String, environment: String) {
        self.name = name
        self.instance = instance
        self.version = version
        self.environment = environment
    }

    var attributes: [(key: String, value: String)] {
        [
            ("service.name", name), ("service.instance.id", instance), ("service.version", version),
            ("deployment.environment.name", environment),
        ]
    }

    /// Whose instruments they are.
    static let scope = "martlet"
}

/// Of `Span.status` (trace.proto, `Status.StatusCode`).
let statusError: UInt64 = 2

extension SpanRecord {
    /// trace.proto, `SpanFlags`: W3C's flags, and that it is known whether the parent is remote.
    var flags: UInt32 {
        let (sampled, isKnown, isRemote): (UInt32, UInt32, UInt32) = (0x1, 0x100, 0x200)
        return sampled | isKnown | (parent != nil && kind.hasRemoteParent ? isRemote : 0)
    }

    var traceID: Substring { traceparent.dropFirst(3).prefix(32) }
    var spanID: Substring { traceparent.dropFirst(36).prefix(16) }
}

// SPDX-License-Identifier: Apache-2.0

/// Header of a REQUEST frame.
package struct RequestHeader: Sendable, Equatable {
    /// W3C Trace Context `traceparent`; empty when there is no trace.
    package var traceparent: String
    /// W3C Trace Context `tracestate`.
    package var tracestate: String
    /// Identifier that every log line of this request carries, over all services.
    package var requestID: String
    package var principal: Principal
    /// Makes a repeat harmless (D27); empty when there is none.
    package var idempotencyKey: String
    /// Media type of the payload; empty for the method's protobuf message.
    package var contentType: String
    package var tenant: String
    /// Present on `http.read` and `http.write`; the payload is then the HTTP body.
    package var http: HTTPRequestHead?

    package init(
        traceparent: String = "", tracestate: String = "", requestID: String = "", principal: Principal = Principal(),
        idempotencyKey: String = "", contentType: String = "", tenant: String = "", http: HTTPRequestHead? = nil
    ) {
        self.traceparent = traceparent
        self.tracestate = tracestate
        self.requestID = requestID
        self.principal = principal
        self.idempotencyKey = idempotencyKey
        self.contentType = contentType
        self.tenant = tenant
        self.http = http
    }
}

/// Whether a request's effect happened, as far as the side that answers knows.
package enum Executed: UInt8, Sendable {
    /// It did not happen and will not: safe to send again.
    case no = 0
    case yes = 1
    /// Nobody can tell: only idempotent or keyed methods may be sent again.
    case unknown = 2
}

/// Header of a REPLY frame.
package struct ReplyHeader: Sendable, Equatable {
    package var code: ErrorCode
    package var executed: Executed
    /// How long to wait before trying again, in milliseconds; 0 when there is no advice.
    package var retryAfterMilliseconds: UInt32
    /// Text for operators; never shown to clients. Empty on success.
    package var message: String
    package var contentType: String
    /// Present on replies to `http.read`, `http.write`, `data.batch` and `logic.decide`; the payload is then the body.
    package var http: HTTPResponseHead?

    package init(
        code: ErrorCode = .ok, executed: Executed = .yes, retryAfterMilliseconds: UInt32 = 0, message: String = "",
        contentType: String = "", http: HTTPResponseHead? = nil
    ) {
        self.code = code
        self.executed = executed
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.message = message
        self.contentType = contentType
        self.http = http
    }
}

/// Header of an EVENT frame: the attributes of CloudEvents 1.0 and the log position (D31).
package struct EventHeader: Sendable, Equatable {
    package var id: String
    package var source: String
    package var type: String
    package var subject: String
    /// Microseconds since 1970-01-01 UTC.
    package var timeMicroseconds: Int64
    package var contentType: String
    package var traceparent: String
    package var stream: String
    package var epoch: UInt64
    package var sequence: UInt64

    package init(
        id: String = "", source: String = "", type: String = "", subject: String = "", timeMicroseconds: Int64 = 0,
        contentType: String = "", traceparent: String = "", stream: String = "", epoch: UInt64 = 0,
        sequence: UInt64 = 0
    ) {
        self.id = id
        self.source = source
        self.type = type
        self.subject = subject
        self.timeMicroseconds = timeMicroseconds
        self.contentType = contentType
        self.traceparent = traceparent
        self.stream = stream
        self.epoch = epoch
        self.sequence = sequence
    }
}

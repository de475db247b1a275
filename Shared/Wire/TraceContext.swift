// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// What ties the log lines, spans, events, jobs and mails of one cause together: the request's id, and where in which
/// trace the work stands (W3C Trace Context, Recommendation of 2021-11-23).
///
/// Both are texts for logs and headers; nobody is let in, and nothing is decided, because of them.
package struct TraceContext: Sendable, Hashable {
    /// Longest request id, in bytes.
    package static let requestIDBytesMax = 64

    /// What the edge answers as `X-Request-Id`; empty when no request is the cause.
    package var requestID: String
    /// `00-<trace id, 32 digits>-<span id, 16 digits>-<flags, 2 digits>`; empty when there is no trace.
    package var traceparent: String

    /// Nothing is the cause.
    package static let none = TraceContext(requestID: "", traceparent: "")

    /// For texts that were checked, or that this process made.
    package init(requestID: String, traceparent: String) {
        self.requestID = requestID
        self.traceparent = traceparent
    }

    /// Of texts from elsewhere: what is not well formed counts as not there.
    package init(givenRequestID: String?, givenTraceparent: String?) {
        requestID = givenRequestID.flatMap { Self.isRequestID($0) ? $0 : nil } ?? ""
        traceparent = givenTraceparent.flatMap { Self.isTraceparent($0) ? $0 : nil } ?? ""
    }

    /// Both in one line, for storage: a request id has no blanks.
    package var line: String { self == .none ? "" : "\(requestID) \(traceparent)" }

    package init(line: String) {
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(
            givenRequestID: parts.first.map(String.init), givenTraceparent: parts.count > 1 ? String(parts[1]) : nil)
    }

    /// A new trace. Work that no request caused goes by its trace's id in both places, so that one word finds it.
    package static func new() -> TraceContext {
        let trace = newTraceID()
        return TraceContext(requestID: trace, traceparent: traceparent(trace, newSpanID(), isSampled: true))
    }

    /// Made in one piece: interpolation makes three texts on its way to one.
    private static func traceparent(_ trace: some StringProtocol, _ span: String, isSampled: Bool) -> String {
        var text = ""
        text.reserveCapacity(55)
        text += "00-"
        text += trace
        text += "-"
        text += span
        text += isSampled ? "-01" : "-00"
        return text
    }

    /// 32 lower-case digits; nil when there is no trace.
    package var traceID: Substring? { traceparent.isEmpty ? nil : traceparent.dropFirst(3).prefix(32) }

    /// 16 lower-case digits; nil when there is no trace.
    package var spanID: Substring? { traceparent.isEmpty ? nil : traceparent.dropFirst(36).prefix(16) }

    /// Whether the one who began the trace wants it recorded (the flag `sampled`).
    package var isSampled: Bool {
        guard let digit = traceparent.utf8.last else { return false }
        // The digits of odd numbers are odd in ASCII too, but for a to f.
        return digit >= UInt8(ascii: "a") ? digit & 1 == 0 : digit & 1 == 1
    }

    /// The same trace with a span of its own; a new trace where there is none.
    package func child(spanID: String = newSpanID()) -> TraceContext {
        guard let traceID else {
            let trace = Self.newTraceID()
            return TraceContext(
                requestID: requestID.isEmpty ? trace : requestID,
                traceparent: Self.traceparent(trace, spanID, isSampled: true))
        }
        return TraceContext(
            requestID: requestID, traceparent: Self.traceparent(traceID, spanID, isSampled: isSampled))
    }

    package static func newSpanID() -> String {
        String(unsafeUninitializedCapacity: 16) { space in
            write(TraceNumbers.next(), to: space)
            return 16
        }
    }

    package static func newTraceID() -> String {
        String(unsafeUninitializedCapacity: 32) { space in
            write(TraceNumbers.next(), to: space)
            write(TraceNumbers.next(), to: UnsafeMutableBufferPointer(rebasing: space[16...]))
            return 32
        }
    }

    /// Visible ASCII without quotes, so that it stands in logs and JSON as it is.
    package static func isRequestID(_ text: String) -> Bool {
        (1...requestIDBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
            }
    }

    /// Section 3.2 for version 00, the only one: neither id is all zeros.
    package static func isTraceparent(_ text: String) -> Bool {
        guard text.utf8.count == 55, text.utf8.starts(with: "00-".utf8) else { return false }
        // All digits of an id together are zero only if each of them is.
        var (position, trace, span) = (0, UInt8(0), UInt8(0))
        for byte in text.utf8 {
            if position == 2 || position == 35 || position == 52 {
                guard byte == UInt8(ascii: "-") else { return false }
            } else {
                let isDecimal = byte &- UInt8(ascii: "0") < 10
                guard isDecimal || byte &- UInt8(ascii: "a") < 6 else { return false }
                let digit = byte ^ UInt8(ascii: "0")
                if position < 35 { trace |= digit } else if position < 52 { span |= digit }
            }
            position += 1
        }
        return trace != 0 && span != 0
    }

    /// Sixteen digits.
    private static func write(_ number: UInt64, to space: UnsafeMutableBufferPointer<UInt8>) {
        for index in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: number >> UInt64((15 - index) * 4)) & 0xF
            space[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
        }
    }
}

/// Numbers for ids of traces and spans. Nobody repeats one, but whoever sees one can tell the next: not for secrets.
///
/// Asking the kernel costs a system call for each, several a request. This is SplitMix64 (Steele, Lea, Flood 2014)
/// from a seed of the kernel's; its state is one counter, so threads share it without a lock.
enum TraceNumbers {
    private static let state = Atomic<UInt64>(.random(in: .min ... .max))
    /// Apart from the seed, so that processes are not at two places of one sequence.
    private static let key = UInt64.random(in: .min ... .max)

    /// Never zero, which is no id.
    static func next() -> UInt64 {
        let number = mix(state.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue ^ key)
        return number == 0 ? 1 : number
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension RequestHeader {
    /// What the request belongs to. The sender is another of our services, so the texts are taken as they are but for
    /// their form.
    package var trace: TraceContext { TraceContext(givenRequestID: requestID, givenTraceparent: traceparent) }

    package init(
        trace: TraceContext, principal: Principal = Principal(), idempotencyKey: String = "", contentType: String = "",
        http: HTTPRequestHead? = nil
    ) {
        self.init(
            traceparent: trace.traceparent, requestID: trace.requestID, principal: principal,
            idempotencyKey: idempotencyKey, contentType: contentType, http: http)
    }
}

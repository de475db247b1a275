// SPDX-License-Identifier: Apache-2.0

/// What became of one request to the collector.
enum TransportOutcome: Sendable, Equatable {
    case answered(status: Int, retryAfterSeconds: Int, body: [UInt8])
    /// No answer; the words are for a log line.
    case failed(String)
}

/// Carries requests to the collector, one at a time, from the exporter's thread, which it may block.
protocol SpanTransport: AnyObject {
    /// `isToStop` is asked at least once a second; once it says so the request is given up.
    func send(_ body: [UInt8], timeout: Duration, isToStop: @escaping () -> Bool) -> TransportOutcome
}

/// What to do after a request (OTLP specification, "OTLP/HTTP Response", "Failures" and "All Other Responses").
enum ExportVerdict: Sendable, Equatable {
    case delivered
    /// Taken but for so many spans.
    case partly(rejected: Int, reason: String)
    case again(after: Duration, reason: String)
    case lost(reason: String)

    /// Only these say that the same request may be taken later.
    private static let temporary: Set<Int> = [429, 502, 503, 504]

    /// `tries`: those that were made, this one included. `spent`: since the first. `draw`: 0 to 1, so that the processes
    /// of many machines do not come back at once.
    init(
        _ outcome: TransportOutcome, encoding: SpanEncoding, limits: SpanLimits, tries: Int, spent: Duration,
        draw: Double
    ) {
        let (advice, reason): (Int, String)
        switch outcome {
        case .answered(let status, _, let body) where (200..<300).contains(status):
            if let (count, words) = PartialSuccess.read(body, encoding), count > 0 {
                self = .partly(rejected: count, reason: words)
            } else {
                self = .delivered
            }
            return
        case .answered(let status, let seconds, _):
            guard Self.temporary.contains(status) else {
                self = .lost(reason: "HTTP \(status)")
                return
            }
            (advice, reason) = (max(0, seconds), "HTTP \(status)")
        case .failed(let words): (advice, reason) = (0, words)
        }
        var pause = limits.pauseFirst
        for _ in 1..<max(1, min(tries, 16)) { pause = min(pause * 2, limits.pauseMax) }
        // From half of it to all of it; but never earlier than asked for.
        pause = max(pause * (0.5 + draw / 2), .seconds(advice))
        self = spent + pause > limits.tryingMax ? .lost(reason: reason) : .again(after: pause, reason: reason)
    }
}

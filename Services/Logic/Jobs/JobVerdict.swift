// SPDX-License-Identifier: Apache-2.0

/// What came of calling a job's function.
struct JobOutcome: Sendable, Equatable {
    /// The function's HTTP status; nil when it gave none.
    var status: Int?
    /// Why there is none, in a word or a sentence.
    var error: String?
    var retryAfter: Duration?
}

/// What becomes of a job after an attempt.
enum JobVerdict: Sendable, Equatable {
    case done
    case again(after: Duration)
    case dead

    private static let gone = 410

    /// - Parameter jitter: 0.5…1.5, drawn uniformly by the caller.
    init(_ outcome: JobOutcome, attempt: Int, attemptsMax: Int, jitter: Double) {
        if let status = outcome.status, (200..<300).contains(status) {
            self = .done
        } else if attempt >= attemptsMax || outcome.status == Self.gone {
            self = .dead
        } else {
            let wait = JobLimits.waits[min(max(attempt, 1), JobLimits.waits.count) - 1] * jitter
            self = .again(after: min(outcome.retryAfter ?? wait, JobLimits.retryAfterMax))
        }
    }
}

extension JobOutcome {
    var isGone: Bool { status == 410 }
    var isSuccess: Bool { status.map { (200..<300).contains($0) } ?? false }

    /// `Retry-After` of RFC 9110, section 10.2.3, in either form. Nil for anything else.
    static func retryAfter(_ text: String, now: Moment) -> Duration? {
        if let seconds = Int64(text), seconds >= 0 { return .seconds(min(seconds, 1 << 31)) }
        // Sun, 06 Nov 1994 08:49:37 GMT
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = CronField.months.firstIndex(of: parts[2].lowercased()),
            let moment = Moment("\(parts[3])-\(month < 9 ? "0" : "")\(month + 1)-\(parts[1])T\(parts[4])Z")
        else { return nil }
        return max(.zero, moment - now)
    }
}

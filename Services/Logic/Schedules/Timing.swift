// SPDX-License-Identifier: Apache-2.0

/// When a schedule is due: the text of its `cron` and its `timezone`.
enum Timing: Sendable, Equatable {
    case cron(CronExpression, Zone)
    /// Every so many seconds, counted from 1970, so that a restart does not move them.
    case interval(seconds: Int64)

    /// Seconds of an interval; a minute and more is what five fields say.
    private static let intervalSeconds: ClosedRange<Int64> = 1...59

    /// How far back the last time is looked for first, and by how much more each time.
    private static let spanMin = Duration.seconds(3_600)
    private static let spanFactor = 32

    /// - Parameter cron: five fields, or `30 seconds`.
    init(_ cron: String, zone: Zone) throws(CronExpression.Fault) {
        let words = cron.split(separator: " ")
        if words.count == 2, ["second", "seconds"].contains(words[1].lowercased()) {
            guard let seconds = Int64(words[0]), Self.intervalSeconds.contains(seconds) else {
                throw CronExpression.Fault(
                    message: "expected 1 to 59 seconds; a minute and more is what five fields say")
            }
            self = .interval(seconds: seconds)
        } else {
            self = .cron(try CronExpression(cron), zone)
        }
    }

    /// The first moment after `moment` at which it is due. Nil when there is none in the calendar.
    func next(after moment: Moment) -> Moment? {
        switch self {
        case .cron(let expression, let zone): return expression.next(after: moment, in: zone)
        case .interval(let seconds):
            return Moment(seconds: (CivilMinute.floorDivision(moment.seconds, seconds).quotient + 1) * seconds)
        }
    }

    /// The last moment, not after `now`, at which it was due, given that it was at `due`.
    func latest(from due: Moment, notAfter now: Moment) -> Moment {
        if case .interval(let seconds) = self {
            return max(due, Moment(seconds: CivilMinute.floorDivision(now.seconds, seconds).quotient * seconds))
        }
        var latest = due
        // From a little before now on, or else from longer before: nobody wants to count the minutes of years.
        var span = Self.spanMin
        while now - span > due {
            if let next = next(after: now - span), next <= now {
                latest = next
                break
            }
            span *= Self.spanFactor
        }
        while let next = next(after: latest), next <= now { latest = next }
        return latest
    }
}

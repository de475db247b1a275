// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// A function that is called at times (FN-22).
struct Schedule: Sendable, Equatable {
    /// What becomes of times that passed while nobody looked.
    enum Missed: String, Sendable {
        /// One job for all of them.
        case once
        case skip
    }

    /// What happens when the job of the time before has not ended.
    enum Overlap: String, Sendable {
        /// The time passes without a job.
        case skip
        /// The job waits for the one before.
        case queue
    }

    let name: String
    /// The words of `cron` and `timezone`, by which a changed timing is known.
    let definition: String
    let timing: Timing
    let function: String
    let body: String
    let missed: Missed
    let overlap: Overlap

    /// What is to be done at a time.
    struct Decision: Sendable, Equatable {
        /// The time that the job is for; nil for none.
        let fires: Moment?
        /// Times that pass without a job of their own.
        let wasMissed: Bool
        let next: Moment?
    }

    /// - Parameters:
    ///   - due: when it was due, not after `now`.
    func decide(due: Moment, now: Moment) -> Decision {
        let latest = timing.latest(from: due, notAfter: now)
        // Times that passed while nobody looked are one; a schedule that does not make up for them fires only when the
        // last one has just come.
        let isLate = now - latest > JobLimits.missedAfter
        let fires = missed == .once || !isLate ? latest : nil
        return Decision(fires: fires, wasMissed: latest > due || isLate, next: timing.next(after: now))
    }

    /// The job of one time: the same one, whoever makes it.
    func job(at time: Moment, now: Moment) -> NewJob {
        NewJob(
            id: JobIdentity.derived("schedule", name, "\(time.microseconds)"), function: function,
            source: .schedule(name),
            headers: [
                HTTPField("content-type", "application/json"), HTTPField("x-martlet-schedule", name),
                HTTPField("x-martlet-scheduled-at", time.text),
            ],
            body: body, orderingKey: overlap == .queue ? "schedule\n\(name)" : nil, runAt: now)
    }
}

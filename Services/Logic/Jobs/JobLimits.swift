// SPDX-License-Identifier: Apache-2.0

/// Bounds of jobs, triggers and schedules.
enum JobLimits {
    /// How long a job belongs to who leased it, unless he says again that he lives. What remains of a killed process is
    /// taken up after this.
    static let lease = Duration.seconds(15)
    /// How often who runs jobs says so: a third, so that one lost beat costs nothing.
    static let heartbeat = Duration.seconds(5)
    /// How long nothing may wake the runner before it looks for due jobs anyway.
    static let poll = Duration.seconds(1)
    /// Attempts of a job that names no number of its own (FN-21), and at most.
    static let attempts = 6
    static let attemptsMax = 100
    /// Waits between attempts (FN-21); the last one repeats.
    static let waits: [Duration] = [
        .seconds(1), .seconds(5), .seconds(30), .seconds(120), .seconds(600), .seconds(3_600),
    ]
    /// The longest `Retry-After` that is followed.
    static let retryAfterMax = Duration.seconds(24 * 3_600)
    /// Body of a job, in bytes: what one message of the bus takes is 16 MiB, and a job is stored.
    static let bodyBytesMax = 1 << 20
    /// A function's error as it is stored, in characters.
    static let errorCharactersMax = 500
    /// Jobs or attempts of one list.
    static let pageMax = 1_000
    static let pageDefault = 100
    /// How far ahead a job may be set.
    static let aheadMax = Duration.seconds(366 * 86_400)
    /// How long a done or cancelled job is kept, and a dead one, which somebody may want to send again.
    static let finishedKept = Duration.seconds(24 * 3_600)
    static let deadKept = Duration.seconds(30 * 86_400)
    /// Jobs that one transaction removes, so that it is short.
    static let removedMax = 1_000
    /// How often finished jobs are looked for that are too old, and waiting ones are counted.
    static let sweep = Duration.seconds(10)
    /// Answers of 410 in a row that disable a trigger (FN-21).
    static let goneMax: Int64 = 3
    /// A tick of a schedule that is found later than this was missed.
    static let missedAfter = Duration.seconds(30)
}

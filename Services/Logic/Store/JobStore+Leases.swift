// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

extension JobStore {
    /// Takes due jobs: those whose time has come, and those whose runner has not said for a while that it lives.
    ///
    /// A job is not due while an earlier one of its ordering key is unfinished. One that was given up as often as it
    /// may be tried is dead: it might be what kills its runners.
    ///
    /// - Parameters:
    ///   - count: at most so many.
    ///   - running: how many jobs of each function run here; none gets more than `functionMax`.
    ///   - inHand: jobs that run here. Their leases may have run out while this process slept, but nobody else runs them.
    /// - Returns: `next` is when the next one is due, where none was.
    func lease(
        _ count: Int, running: [String: Int], functionMax: Int, inHand: [String] = [], now: Moment
    ) async throws -> (leases: [JobLease], died: [Job], next: Moment?) {
        guard count > 0 else { return ([], [], nil) }
        return try await database.write { session in
            let full = running.filter { $0.value >= functionMax }.keys.sorted()
            func list(_ count: Int, from first: Int) -> String {
                (first..<first + count).map { "$\($0)" }.joined(separator: ", ")
            }
            var others = full.isEmpty ? "" : "and function not in (\(list(full.count, from: 2)))"
            if !inHand.isEmpty { others += " and id not in (\(list(inHand.count, from: 2 + full.count)))" }
            let due = try session.query(
                """
                select id, fence, function, attempt, attempts_max from jobs j where due_at <= $1 \(others) \
                and not exists (select 1 from jobs e where e.ordering_key = j.ordering_key and e.number < j.number \
                and e.due_at is not null) \
                order by due_at, number limit \(Self.candidatesMax)\
                \(session.engine == .postgres ? " for update of j skip locked" : "")
                """, [.integer(now.microseconds)] + (full + inHand).map { .text($0) })
            var (leases, died, running): ([JobLease], [Job], [String: Int]) = ([], [], running)
            for row in due where leases.count < count {
                guard let id = row[0].textValue, let fence = row[1].integerValue, let function = row[2].textValue,
                    let attempt = row[3].integerValue, let attemptsMax = row[4].integerValue,
                    running[function, default: 0] < functionMax
                else { continue }
                // Only of a job whose runner has vanished.
                try Self.endAttempts(of: id, error: Self.abandoned, now: now, in: session)
                let change =
                    attempt >= attemptsMax
                    ? ("state = 'dead', due_at = null, finished_at = $3, last_error = '\(Self.abandoned)'", now)
                    : ("state = 'running', attempt = attempt + 1, due_at = $3", now + JobLimits.lease)
                let changed = try session.query(
                    "update jobs set fence = fence + 1, \(change.0) where id = $1 and fence = $2 "
                        + "returning \(Self.columns)",
                    [.text(id), .integer(fence), .integer(change.1.microseconds)])
                guard let job = changed.first.map(Self.job) else { continue }
                if job.state == .dead {
                    died.append(job)
                    continue
                }
                try session.execute(
                    "insert into job_attempts (job_id, attempt, started_at) values ($1, $2, $3)",
                    [.text(id), .integer(Int64(job.attempt)), .integer(now.microseconds)])
                leases.append(JobLease(job: job))
                running[function, default: 0] += 1
            }
            guard leases.isEmpty else { return (leases, died, nil) }
            let next = try session.query("select min(due_at) from jobs where due_at > $1", [.integer(now.microseconds)])
            return (leases, died, next.first?[0].integerValue.map { Moment(microseconds: $0) })
        }
    }

    /// Jobs that one transaction looks at.
    private static let candidatesMax = 64
    /// The error of an attempt whose runner has vanished.
    static let abandoned = "abandoned"

    /// Says that the leases' holder lives. Returns the ids of those that are no longer its own.
    func extend(_ leases: [(id: String, fence: Int64)], now: Moment) async throws -> [String] {
        try await database.write { session in
            try leases.filter { lease in
                try session.execute(
                    "update jobs set due_at = $3 where id = $1 and fence = $2 and state = 'running'",
                    [
                        .text(lease.id), .integer(lease.fence), .integer((now + JobLimits.lease).microseconds),
                    ]) == 0
            }.map(\.id)
        }
    }

    /// Gives a lease back without an outcome: the job is due at once, and the attempt does not count. False when the
    /// lease no longer holds.
    func giveBack(_ lease: JobLease, now: Moment) async throws -> Bool {
        try await database.write { session in
            let count = try session.execute(
                """
                update jobs set state = 'queued', due_at = $3, attempts_max = attempts_max + 1 \
                where id = $1 and fence = $2 and state = 'running'
                """, [.text(lease.id), .integer(lease.fence), .integer(now.microseconds)])
            if count == 1 { try Self.endAttempts(of: lease.id, error: Self.interrupted, now: now, in: session) }
            return count == 1
        }
    }

    /// The error of an attempt that was given up because its process ended.
    static let interrupted = "interrupted"

    /// Gives every lease back at the start of the only process that can hold one: with SQLite no other can be there.
    func giveUpAll(now: Moment) async throws {
        try await database.write { session in
            try session.execute(
                "update jobs set due_at = $1 where state = 'running' and due_at > $1", [.integer(now.microseconds)])
        }
    }

    /// What came of finishing a job.
    enum Finish: Sendable, Equatable {
        /// The lease was lost: somebody else has the job or it was cancelled, and nothing is changed.
        case lost
        case finished
        /// The trigger that made it has been told too often that its function is gone, and is disabled now.
        case disabledTrigger(String)
    }

    /// Stores what came of an attempt, if the lease still holds.
    func finish(_ lease: JobLease, _ outcome: JobOutcome, _ verdict: JobVerdict, now: Moment) async throws -> Finish {
        try await database.write { session in
            var (state, due, finished): (JobState, Moment?, Moment?) = (.done, nil, now)
            switch verdict {
            case .done: break
            case .dead: state = .dead
            case .again(let wait): (state, due, finished) = (.queued, now + wait, nil)
            }
            #if MUTANT_JOB_FENCE_IGNORED
                let condition = "(fence = $2 or fence <> $2)"
            #else
                let condition = "fence = $2"
            #endif
            let status: SQLValue = outcome.status.map { .integer(Int64($0)) } ?? .null
            let error: SQLValue = outcome.error.map { .text($0) } ?? .null
            let count = try session.execute(
                """
                update jobs set state = $3, due_at = $4, finished_at = $5, last_status = $6, last_error = $7 \
                where id = $1 and \(condition) and state = 'running'
                """,
                [
                    .text(lease.id), .integer(lease.fence), .text(state.rawValue),
                    due.map { .integer($0.microseconds) } ?? .null, finished.map { .integer($0.microseconds) } ?? .null,
                    status, error,
                ])
            guard count == 1 else { return .lost }
            try session.execute(
                "update job_attempts set finished_at = $3, status = $4, error = $5 where job_id = $1 and attempt = $2",
                [
                    .text(lease.id), .integer(Int64(lease.job.attempt)), .integer(now.microseconds), status, error,
                ])
            if case .trigger(let name) = lease.job.new.source {
                return try Self.count(outcome, of: name, now: now, in: session)
            }
            return .finished
        }
    }

    /// Counts the answers in a row that said 410.
    private static func count(
        _ outcome: JobOutcome, of trigger: String, now: Moment, in session: DatabaseSession
    ) throws -> Finish {
        if outcome.isSuccess {
            try session.execute("update triggers set gone = 0 where name = $1 and gone > 0", [.text(trigger)])
        } else if outcome.isGone {
            let rows = try session.query(
                "update triggers set gone = gone + 1 where name = $1 and disabled_at is null returning gone",
                [.text(trigger)])
            guard let gone = rows.first?[0].integerValue, gone >= JobLimits.goneMax else { return .finished }
            try session.execute(
                "update triggers set disabled_at = $2 where name = $1", [.text(trigger), .integer(now.microseconds)])
            return .disabledTrigger(trigger)
        }
        return .finished
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// The jobs in the service's own database. Every decision about one is a single transaction.
struct JobStore: Sendable {
    let database: Database

    // MARK: Coming

    /// Stores a job in the caller's transaction.
    ///
    /// - Returns: false, and nothing is changed, when a job of this id is there.
    @discardableResult
    static func insert(
        _ job: NewJob, requestHash: String? = nil, now: Moment, in session: DatabaseSession
    ) throws -> Bool {
        // One counter, locked until the commit: numbers are given in the order of the commits, so whoever sees a job
        // sees the earlier ones of its ordering key as well.
        let numbers = try session.query("update job_numbers set last = last + 1 returning last")
        // What nobody asked for, such as a schedule, begins a trace: all its attempts are of the same one.
        let trace = job.trace == .none ? .new() : job.trace
        let count = try session.execute(
            """
            insert into jobs (id, number, function, source, source_name, headers, body, ordering_key, attempts_max, \
            traceparent, request_hash, state, due_at, attempt, fence, created_at, request_id) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', $12, 0, 0, $13, $14) \
            on conflict (id) do nothing
            """,
            [
                .text(job.id), .integer(numbers.first?[0].integerValue ?? 0), .text(job.function),
                .text(job.source.kind), .text(job.source.name), .text(StoredFields.text(job.headers)), .text(job.body),
                job.orderingKey.map { .text($0) } ?? .null, .integer(Int64(job.attemptsMax)), .text(trace.traceparent),
                requestHash.map { .text($0) } ?? .null, .integer(job.runAt.microseconds),
                .integer(now.microseconds), .text(trace.requestID),
            ])
        return count == 1
    }

    /// What came of asking for a job under a key.
    enum Admission: Sendable, Equatable {
        case accepted
        /// The same request came before.
        case known
        /// Another request came under the same key.
        case otherRequest
    }

    func admit(_ job: NewJob, requestHash: String, now: Moment) async throws -> Admission {
        try await database.write { session in
            if try Self.insert(job, requestHash: requestHash, now: now, in: session) { return .accepted }
            let stored = try session.query("select request_hash from jobs where id = $1", [.text(job.id)])
            return stored.first?[0].textValue == requestHash ? .known : .otherRequest
        }
    }

    // MARK: By people

    enum Change: Sendable, Equatable {
        case changed
        case notFound
        /// The job's state does not allow it.
        case refused(JobState)
    }

    /// Ends a job that has not ended. A running one is told at its runner's next beat; its effect may have happened.
    func cancel(_ id: String, now: Moment) async throws -> Change {
        try await database.write { session in
            let count = try session.execute(
                """
                update jobs set state = 'cancelled', fence = fence + 1, due_at = null, finished_at = $2 \
                where id = $1 and state in ('queued', 'running')
                """, [.text(id), .integer(now.microseconds)])
            if count == 1 { try Self.endAttempts(of: id, error: "cancelled", now: now, in: session) }
            return try Self.change(count, id, in: session)
        }
    }

    /// Sends a dead or cancelled job again, with as many attempts as a new one has; a waiting one goes now.
    func retry(_ id: String, now: Moment) async throws -> Change {
        try await database.write { session in
            let count = try session.execute(
                """
                update jobs set due_at = $2, finished_at = null, state = 'queued', \
                attempts_max = case state when 'queued' then attempts_max else attempt + $3 end \
                where id = $1 and state in ('queued', 'dead', 'cancelled')
                """, [.text(id), .integer(now.microseconds), .integer(Int64(JobLimits.attempts))])
            return try Self.change(count, id, in: session)
        }
    }

    private static func change(_ count: Int, _ id: String, in session: DatabaseSession) throws -> Change {
        if count == 1 { return .changed }
        let state = try session.query("select state from jobs where id = $1", [.text(id)]).first?[0].textValue
        guard let state = state.flatMap(JobState.init(rawValue:)) else { return .notFound }
        return .refused(state)
    }

    static func endAttempts(of id: String, error: String, now: Moment, in session: DatabaseSession) throws {
        try session.execute(
            "update job_attempts set finished_at = $2, error = $3 where job_id = $1 and finished_at is null",
            [.text(id), .integer(now.microseconds), .text(error)])
    }

    // MARK: Looking

    func job(_ id: String) async throws -> (job: Job, attempts: [JobAttempt])? {
        try await database.read { session in
            guard
                let row = try session.query(
                    "select \(Self.columns) from jobs where id = $1", [.text(id)]
                ).first
            else { return nil }
            let attempts = try session.query(
                "select \(Self.attemptColumns) from job_attempts a join jobs j on j.id = a.job_id where a.job_id = $1 "
                    + "order by a.attempt limit \(JobLimits.pageMax)", [.text(id)])
            return (Self.job(row), attempts.map(Self.attempt))
        }
    }

    /// The newest first, without their bodies; those before a job's number for the next page.
    func jobs(state: JobState?, function: String?, before: Int64?, limit: Int) async throws -> [Job] {
        try await database.read { session in
            var (conditions, values): ([String], [SQLValue]) = (["1 = 1"], [])
            if let state { conditions.append("state = $\(values.count + 1)"); values.append(.text(state.rawValue)) }
            if let function { conditions.append("function = $\(values.count + 1)"); values.append(.text(function)) }
            if let before { conditions.append("number < $\(values.count + 1)"); values.append(.integer(before)) }
            return try session.query(
                "select \(Self.listedColumns) from jobs where \(conditions.joined(separator: " and ")) "
                    + "order by number desc limit \(limit)", values
            ).map(Self.job)
        }
    }

    /// Which attempts a list holds.
    enum AttemptState: String, Sendable { case running, succeeded, failed }

    /// The attempts that began last.
    func attempts(function: String?, state: AttemptState?, limit: Int) async throws -> [JobAttempt] {
        try await database.read { session in
            var condition = "1 = 1"
            switch state {
            case .running: condition = "a.finished_at is null"
            case .succeeded: condition = "a.status between 200 and 299"
            case .failed:
                condition = "a.finished_at is not null and (a.status is null or a.status not between 200 and 299)"
            case nil: break
            }
            if function != nil { condition += " and j.function = $1" }
            return try session.query(
                "select \(Self.attemptColumns) from job_attempts a join jobs j on j.id = a.job_id where \(condition) "
                    + "order by a.started_at desc, a.job_id, a.attempt desc limit \(limit)",
                function.map { [.text($0)] } ?? []
            ).map(Self.attempt)
        }
    }

    // MARK: Going

    /// Removes a bounded number of jobs that ended long ago. True when there may be more.
    func removeFinished(now: Moment) async throws -> Bool {
        try await database.write(alone: true) { session in
            let count = try session.execute(
                """
                delete from jobs where id in (select id from jobs \
                where (state in ('done', 'cancelled') and finished_at < $1) or (state = 'dead' and finished_at < $2) \
                limit \(JobLimits.removedMax))
                """,
                [
                    .integer((now - JobLimits.finishedKept).microseconds),
                    .integer((now - JobLimits.deadKept).microseconds),
                ])
            return count == JobLimits.removedMax
        }
    }

    /// How many jobs are in each state.
    func counts() async throws -> [JobState: Int64] {
        try await database.read { session in
            var counts: [JobState: Int64] = [:]
            for row in try session.query("select state, count(*) from jobs group by state") {
                if let state = row[0].textValue.flatMap(JobState.init(rawValue:)) {
                    counts[state] = row[1].integerValue
                }
            }
            return counts
        }
    }

    // MARK: Rows

    static let columns = """
        id, number, function, source, source_name, headers, body, ordering_key, attempts_max, traceparent, state, \
        due_at, attempt, fence, created_at, finished_at, last_status, last_error, \
        request_id
        """

    /// A thousand bodies would be a gigabyte.
    private static let listedColumns = columns.replacing(" body,", with: " '' as body,")

    static func job(_ row: SQLRow) -> Job {
        let state = row[10].textValue.flatMap(JobState.init(rawValue:)) ?? .dead
        let created = moment(row[14]) ?? Moment(microseconds: 0)
        let due = moment(row[11])
        return Job(
            new: NewJob(
                id: row[0].textValue ?? "", function: row[2].textValue ?? "",
                source: JobSource(kind: row[3].textValue ?? "", name: row[4].textValue ?? ""),
                headers: StoredFields.fields(row[5].textValue ?? ""), body: row[6].textValue ?? "",
                orderingKey: row[7].textValue, runAt: state == .queued ? due ?? created : created,
                attemptsMax: Int(row[8].integerValue ?? 0),
                trace: TraceContext(givenRequestID: row[18].textValue, givenTraceparent: row[9].textValue)),
            number: row[1].integerValue ?? 0, state: state, attempt: Int(row[12].integerValue ?? 0),
            fence: row[13].integerValue ?? 0, createdAt: created, leaseUntil: state == .running ? due : nil,
            finishedAt: moment(row[15]), lastStatus: row[16].integerValue.map { Int($0) }, lastError: row[17].textValue)
    }

    private static let attemptColumns =
        "a.job_id, a.attempt, j.function, j.source, j.source_name, a.started_at, a.finished_at, a.status, a.error"

    private static func attempt(_ row: SQLRow) -> JobAttempt {
        JobAttempt(
            jobID: row[0].textValue ?? "", attempt: Int(row[1].integerValue ?? 0), function: row[2].textValue ?? "",
            source: JobSource(kind: row[3].textValue ?? "", name: row[4].textValue ?? ""),
            startedAt: moment(row[5]) ?? Moment(microseconds: 0), finishedAt: moment(row[6]),
            status: row[7].integerValue.map { Int($0) }, error: row[8].textValue)
    }

    private static func moment(_ value: SQLValue) -> Moment? { value.integerValue.map { Moment(microseconds: $0) } }
}

/// HTTP fields as one column: a JSON array of pairs.
enum StoredFields {
    static func text(_ fields: [HTTPField]) -> String {
        JSONValue.array(fields.map { .array([.string($0.name), .string($0.value)]) }).text
    }

    static func fields(_ text: String) -> [HTTPField] {
        ((try? JSONValue(parsing: text))?.arrayValue ?? []).compactMap { pair in
            guard let pair = pair.arrayValue, pair.count == 2, let name = pair[0].stringValue,
                let value = pair[1].stringValue
            else { return nil }
            return HTTPField(name, value)
        }
    }
}

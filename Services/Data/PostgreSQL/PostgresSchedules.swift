// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletDatabase
import Synchronization

/// Runs the jobs of `cron.job`, each minute those that are due (pg_cron's tables, D29).
///
/// Of several replicas one takes a minute. A minute in which none runs is left out, as pg_cron does. A job that still
/// runs is not started again. Each run is one transaction of the job's user, who is one that the application's owner may
/// be, and leaves a row in `cron.job_run_details`.
final class PostgresSchedules: Sendable {
    /// Jobs that run at once; the others wait.
    private static let runningMax = 4
    /// How long one may take.
    private static let runMax = Duration.seconds(3_600)
    /// Runs that are kept.
    private static let detailsMax = 10_000

    private struct Job: Sendable {
        let id: Int64
        let command: String
        let user: String
        /// What cannot be read; nil: it is due.
        let wrongSchedule: String?
    }

    private let administration: Database
    private let url: String
    /// Raised after a run: its changes wait for their numbers.
    private let nudge: LogSignal
    private let running = Mutex<Set<Int64>>([])

    init(administration: Database, url: String, nudge: LogSignal) {
        self.administration = administration
        self.url = url
        self.nudge = nudge
    }

    /// Runs what is due until its task is cancelled. A database that is away misses its minutes.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            while !Task.isCancelled {
                var now = timespec()
                clock_gettime(CLOCK_REALTIME, &now)
                let next = (Int64(now.tv_sec) / 60 + 1) * 60
                do {
                    try await Task.sleep(
                        for: .seconds(next - Int64(now.tv_sec)) - .nanoseconds(Int64(now.tv_nsec)) + .milliseconds(5))
                } catch { break }
                group.addTask { [self] in _ = try? await turn(minute: next) }
            }
            group.cancelAll()
        }
    }

    /// Runs what is due in a minute, given in seconds of the epoch, unless another replica has. Returns how many ran.
    @discardableResult
    func turn(minute: Int64) async throws -> Int {
        let jobs = try await due(minute)
        guard !jobs.isEmpty else { return 0 }
        let started = jobs.filter { job in running.withLock { $0.insert(job.id).inserted } }
        let database = try Database(
            DatabaseConfiguration(
                location: .postgres(url: url), poolSize: min(Self.runningMax, max(1, started.count)),
                startupStatements: PostgresEngine.startupStatements))
        await withTaskGroup(of: Void.self) { group in
            for job in started {
                group.addTask { [self] in
                    await run(job, on: database)
                    running.withLock { _ = $0.remove(job.id) }
                    nudge.raise()
                }
            }
        }
        await database.close()
        return started.count
    }

    private func due(_ minute: Int64) async throws -> [Job] {
        try await administration.write { session in
            let isOurs = try session.query(
                "select to_regclass('cron.job') is not null and to_regclass('martlet.cron_minute') is not null")
            guard isOurs.first?[0].textValue == "t",
                try !session.query("select from cron.job where active limit 1").isEmpty,
                try session.execute(
                    "insert into martlet.cron_minute values (to_timestamp($1)) on conflict do nothing",
                    [.integer(minute)]) == 1
            else { return [] }
            try session.execute(
                "delete from martlet.cron_minute where minute < to_timestamp($1) - interval '1 hour'",
                [.integer(minute)])
            try session.execute(
                """
                delete from cron.job_run_details \
                where runid <= (select max(runid) from cron.job_run_details) - \(Self.detailsMax)
                """)
            return try session.query(
                """
                select jobid, command, username, schedule, due from cron.job, \
                lateral (select martlet.cron_is_due(schedule, to_timestamp($1) at time zone 'UTC') due) as d \
                where active and due is not false order by jobid
                """, [.integer(minute)]
            ).map { row in
                Job(
                    id: row[0].integerValue ?? 0, command: row[1].textValue ?? "", user: row[2].textValue ?? "",
                    wrongSchedule: row[4].isNull ? row[3].textValue ?? "" : nil)
            }
        }
    }

    private func run(_ job: Job, on database: Database) async {
        let id = try? await administration.write { session in
            try session.query(
                """
                insert into cron.job_run_details (jobid, job_pid, database, username, command, status, start_time) \
                values ($1, 0, current_database(), $2, $3, 'running', clock_timestamp()) returning runid
                """, [.integer(job.id), .text(job.user), .text(job.command)]
            ).first?[0].integerValue
        }
        var status = "succeeded"
        var message = ""
        do {
            try await database.write(deadline: .now + Self.runMax, alone: true) { session in
                if let schedule = job.wrongSchedule {
                    throw DatabaseError(sqlState: "22023", message: "invalid schedule: \(schedule)")
                }
                // Who may write into the table must not become more than that by it.
                let mayBe = try session.query(
                    "select from pg_roles where rolname = $1 and pg_has_role('postgres', oid, 'member')",
                    [.text(job.user)])
                guard !mayBe.isEmpty else {
                    throw DatabaseError(sqlState: "42501", message: "the job's user \"\(job.user)\" is not allowed")
                }
                try session.executeScript("set local role \(PostgresStatement.quote(job.user))")
                try session.executeScript(job.command)
            }
        } catch {
            status = "failed"
            message = (error as? DatabaseError)?.message ?? "\(error)"
        }
        guard let id = id ?? nil else { return }
        let (ended, words) = (status, message)
        _ = try? await administration.write { session in
            try session.execute(
                """
                update cron.job_run_details set status = $2, return_message = $3, end_time = clock_timestamp() \
                where runid = $1
                """, [.integer(id), .text(ended), .text(words)])
        }
    }
}

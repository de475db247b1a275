// SPDX-License-Identifier: Apache-2.0

import Glibc

/// PostgreSQL: a bounded pool, each connection with its own thread (D18).
final class PostgresDatabase: DatabaseImplementation {
    private let queue = JobQueue<PoolJob>(capacity: DatabaseLimits.waitingMax)
    private let threads: [WorkerThread]

    /// One job and the transaction that it wants.
    struct PoolJob: Sendable {
        let job: DatabaseJob
        let isWrite: Bool
    }

    /// Opens the first connection, so that a wrong URL is known at once; the others connect with their first work.
    init(url: String, configuration: DatabaseConfiguration) throws(DatabaseError) {
        let first = Handover(try PostgresConnection(url: url, startup: configuration.startupStatements))
        var threads: [WorkerThread] = []
        for position in 0..<max(1, configuration.poolSize) {
            let queue = queue
            threads.append(
                WorkerThread {
                    let worker = PostgresWorker(
                        url: url, startup: configuration.startupStatements, connection: position == 0 ? first.take() : nil)
                    while let work = queue.pop() { worker.run(work) }
                })
        }
        self.threads = threads
    }

    func read(_ job: DatabaseJob) -> JobQueue<DatabaseJob>.PushResult { push(PoolJob(job: job, isWrite: false)) }
    func write(_ job: DatabaseJob) -> JobQueue<DatabaseJob>.PushResult { push(PoolJob(job: job, isWrite: true)) }

    var waiting: Int { queue.waiting }

    private func push(_ work: PoolJob) -> JobQueue<DatabaseJob>.PushResult {
        switch queue.push(work) {
        case .accepted: .accepted
        case .full: .full
        case .closed: .closed
        }
    }

    func close() async {
        queue.close()
        for thread in threads { await thread.wait() }
    }
}

/// The owner of one pooled connection: runs transactions, and connects again when the connection is lost.
final class PostgresWorker {
    private let url: String
    private let startup: [String]
    private var connection: PostgresConnection?

    init(url: String, startup: [String], connection: PostgresConnection?) {
        self.url = url
        self.startup = startup
        self.connection = connection
    }

    /// Longest wait before the next attempt to connect, in microseconds.
    private static let pauseMicrosecondsMax: UInt32 = 500_000

    func run(_ work: PostgresDatabase.PoolJob) {
        let job = work.job
        var pause: UInt32 = 10_000
        while true {
            guard !job.interruption.isDue else { return job.fail(DatabaseError.cancelled()) }
            do {
                let connection = try connected()
                switch try attempt(work, on: connection) {
                case .over: return
                case .notStarted: self.connection = nil
                }
            } catch {
                self.connection = nil
                // Without a deadline there is nobody to say how long to try.
                guard job.interruption.deadline != nil else { return job.fail(error) }
                usleep(UInt32.random(in: 0...pause))
                pause = min(pause * 2, Self.pauseMicrosecondsMax)
                if job.interruption.isDue { return job.fail(error) }
            }
        }
    }

    private func connected() throws(DatabaseError) -> PostgresConnection {
        if let connection, connection.isConnected { return connection }
        let made = try PostgresConnection(url: url, startup: startup)
        connection = made
        return made
    }

    private enum Attempt { case over, notStarted }

    /// One transaction. `notStarted` says that BEGIN never arrived, so another connection may try.
    private func attempt(
        _ work: PostgresDatabase.PoolJob, on connection: PostgresConnection
    ) throws(DatabaseError) -> Attempt {
        let job = work.job
        do {
            try begin(work, on: connection)
        } catch {
            if !connection.isConnected { return .notStarted }
            job.fail(error)
            return .over
        }
        let canceller = connection.makeCanceller()
        job.interruption.notify { canceller?.cancel() }
        let outcome = Result { try job.run(DatabaseSession(connection)) }
        job.interruption.notify(nil)
        switch outcome {
        case .success: commit(work, on: connection)
        case .failure(let error):
            if connection.isConnected { _ = try? connection.executeScript("rollback") }
            if !connection.isConnected { self.connection = nil }
            job.fail(error)
        }
        return .over
    }

    private func begin(_ work: PostgresDatabase.PoolJob, on connection: PostgresConnection) throws(DatabaseError) {
        var sql = work.isWrite ? "start transaction read write" : "start transaction read only"
        if let deadline = work.job.interruption.deadline {
            let left = ContinuousClock.now.duration(to: deadline)
            let milliseconds = left.components.seconds * 1_000 + left.components.attoseconds / 1_000_000_000_000_000
            sql += "; set local statement_timeout = \(max(1, min(milliseconds, 86_400_000)))"
        }
        try connection.executeScript(sql)
    }

    private func commit(_ work: PostgresDatabase.PoolJob, on connection: PostgresConnection) {
        do {
            try connection.executeScript("commit")
            work.job.succeed()
        } catch {
            guard connection.isConnected else {
                self.connection = nil
                let lost = DatabaseError(
                    sqlState: work.isWrite ? "08007" : "08006",
                    message: "the connection was lost during the commit; its outcome is unknown")
                return work.job.fail(lost)
            }
            if connection.isInTransaction { _ = try? connection.executeScript("rollback") }
            work.job.fail(error)
        }
    }
}

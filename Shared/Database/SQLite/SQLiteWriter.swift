// SPDX-License-Identifier: Apache-2.0

import CSQLite
import Glibc

/// The one connection that writes (D19), on its own thread, with group commit (D20).
///
/// Waiting writes run one after the other, each in a savepoint, and share one COMMIT and so one fsync. Nobody is
/// answered before it.
final class SQLiteWriter: Sendable {
    private let queue: JobQueue<DatabaseJob>
    private let thread: WorkerThread

    init(connection: consuming sending SQLiteConnection, queue: JobQueue<DatabaseJob>) {
        self.queue = queue
        let lent = Handover(connection)
        thread = WorkerThread {
            guard let connection = lent.take() else { return }
            let group = WriteGroup(connection: connection, queue: queue)
            while let job = queue.pop() { group.run(startingWith: job) }
        }
    }

    /// Finishes what waits, then closes the connection.
    func close() async {
        queue.close()
        await thread.wait()
    }
}

/// Hands a value that is not `Sendable` to one thread, once.
///
/// `@unchecked Sendable`: the value was sent in, and `take` gives it away to the single thread that is made for it.
final class Handover<Value>: @unchecked Sendable {
    private var value: Value?

    init(_ value: consuming sending Value) { self.value = value }

    func take() -> Value? {
        defer { value = nil }
        return value
    }
}

/// One turn of the writer: a transaction with one or many writes in it.
final class WriteGroup {
    private let connection: SQLiteConnection
    private let queue: JobQueue<DatabaseJob>
    private let session: DatabaseSession

    init(connection: SQLiteConnection, queue: JobQueue<DatabaseJob>) {
        self.connection = connection
        self.queue = queue
        session = DatabaseSession(connection)
    }

    func run(startingWith first: DatabaseJob) {
        var pending = [first]
        // Each pass either commits, or leaves fewer jobs to run again: the culprit of a roll-back is failed and gone.
        var collects = !first.alone
        while !pending.isEmpty {
            pending = commit(pending, collecting: collects)
            collects = false
        }
    }

    /// Runs `jobs`, and more that wait, in one transaction. Returns those that must run again.
    private func commit(_ jobs: [DatabaseJob], collecting: Bool) -> [DatabaseJob] {
        do {
            try connection.executeScript("begin immediate")
        } catch {
            for job in jobs { job.fail(error) }
            return []
        }
        var done: [DatabaseJob] = []
        var waiting = jobs[...]
        let end = ContinuousClock.now + .milliseconds(DatabaseLimits.groupMilliseconds)
        while let job = waiting.popFirst() ?? next(collecting, done.count, end) {
            switch run(job) {
            case .done: done.append(job)
            case .failed: break
            case .transactionLost:
                #if MUTANT_DB_OTHERS_NOT_RUN_AGAIN
                    for lost in done { lost.succeed() }
                    return Array(waiting)
                #else
                    return done + waiting
                #endif
            }
        }
        guard !done.isEmpty else {
            _ = try? connection.executeScript("rollback")
            return []
        }
        return finish(done)
    }

    private func next(_ collecting: Bool, _ count: Int, _ end: ContinuousClock.Instant) -> DatabaseJob? {
        guard collecting, count < DatabaseLimits.groupWritesMax, ContinuousClock.now < end else { return nil }
        return queue.popIfWaiting { !$0.alone }
    }

    private enum Outcome { case done, failed, transactionLost }

    /// Runs one write in its savepoint. A failure undoes and fails this write alone.
    private func run(_ job: DatabaseJob) -> Outcome {
        guard !job.interruption.isDue else {
            job.fail(DatabaseError.cancelled())
            return .failed
        }
        connection.interruption = job.interruption
        // What a failed write, or one whose transaction was lost, has left behind belongs to nobody.
        connection.forgetCapture()
        defer {
            connection.interruption = nil
            connection.forgetCapture()
        }
        do {
            try connection.executeScript("savepoint martlet_write")
            session.annotation = ""
            try job.run(session)
            try connection.flushCapture(session)
            // RELEASE does not look at deferred foreign keys, only COMMIT does, and there it would fail everybody.
            #if !MUTANT_DB_DEFERRED_KEYS_UNCHECKED
                if connection.hasDeferredForeignKeyViolations {
                    throw DatabaseError(
                        sqlState: "23503", message: "insert, update or delete violates a foreign key constraint",
                        engineCode: SQLITE_CONSTRAINT)
                }
            #endif
            try connection.executeScript("release martlet_write")
            return .done
        } catch {
            connection.interruption = nil
            // A full disk, an I/O error, no memory or an interrupt may have rolled back the whole transaction: then the
            // others have to run again, and only this one fails.
            let isLost = connection.isInAutocommit
            if !isLost {
                _ = try? connection.executeScript("rollback to martlet_write")
                _ = try? connection.executeScript("release martlet_write")
            }
            job.fail(error)
            return isLost ? .transactionLost : .failed
        }
    }

    /// Commits and answers. When the commit fails, every write but a single one gets a transaction of its own.
    private func finish(_ done: [DatabaseJob]) -> [DatabaseJob] {
        #if MUTANT_DB_ACK_BEFORE_COMMIT
            for job in done { job.succeed() }
            usleep(30_000)
            _ = try? connection.executeScript("commit")
            return []
        #else
            do {
                try connection.executeScript("commit")
            } catch {
                if !connection.isInAutocommit { _ = try? connection.executeScript("rollback") }
                guard done.count > 1 else {
                    done[0].fail(error)
                    return []
                }
                for job in done { run(startingWith: job.onItsOwn) }
                return []
            }
            for job in done { job.succeed() }
            return []
        #endif
    }
}

extension DatabaseJob {
    fileprivate var onItsOwn: DatabaseJob {
        DatabaseJob(run: run, succeed: succeed, fail: fail, interruption: interruption, alone: true)
    }
}

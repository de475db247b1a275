// SPDX-License-Identifier: Apache-2.0

/// Reader connections, each on its own thread. Each read is in one transaction, so it sees one state of the database.
final class SQLiteReaders: Sendable {
    private let queue: JobQueue<DatabaseJob>
    private let threads: [WorkerThread]

    init(connections: [Handover<SQLiteConnection>], queue: JobQueue<DatabaseJob>) {
        self.queue = queue
        var threads: [WorkerThread] = []
        for lent in connections {
            threads.append(
                WorkerThread {
                    guard let connection = lent.take() else { return }
                    let session = DatabaseSession(connection)
                    while let job = queue.pop() { Self.run(startingWith: job, connection, session, queue) }
                })
        }
        self.threads = threads
    }

    /// Runs `first`, and the reads that were waiting already, in one transaction: each sees one state of the database,
    /// and none that is older than its own beginning. Beginning and ending one costs more than a small read.
    private static func run(
        startingWith first: DatabaseJob, _ connection: SQLiteConnection, _ session: DatabaseSession,
        _ queue: JobQueue<DatabaseJob>
    ) {
        do { _ = try connection.execute("begin", []) } catch { return first.fail(error) }
        // SQLite fixes the state with the first statement that reads, which is not before this.
        let newest = queue.lastAccepted
        let end = ContinuousClock.now + .milliseconds(DatabaseLimits.groupReadMilliseconds)
        var count = 0
        var next: DatabaseJob? = first
        while let job = next {
            // What has failed may have ended the transaction.
            guard run(job, connection, session) else { return }
            count += 1
            guard count < DatabaseLimits.groupReadsMax, ContinuousClock.now < end else { break }
            next = queue.popIfWaiting(acceptedBy: newest)
        }
        do {
            _ = try connection.execute("commit", [])
        } catch {
            // Nothing hangs on its outcome; the next transaction has to begin, though.
            _ = try? connection.execute("rollback", [])
        }
    }

    /// Returns false when the transaction is over.
    private static func run(
        _ job: DatabaseJob, _ connection: SQLiteConnection, _ session: DatabaseSession
    ) -> Bool {
        guard !job.interruption.isDue else {
            job.fail(DatabaseError.cancelled())
            return true
        }
        connection.interruption = job.interruption
        do {
            try job.run(session)
            connection.interruption = nil
            job.succeed()
            return true
        } catch {
            connection.interruption = nil
            if !connection.isInAutocommit { _ = try? connection.execute("rollback", []) }
            job.fail(error)
            return false
        }
    }

    func close() async {
        queue.close()
        for thread in threads { await thread.wait() }
    }
}

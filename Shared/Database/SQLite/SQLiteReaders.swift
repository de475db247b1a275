// SPDX-License-Identifier: Apache-2.0

/// Reader connections, each on its own thread. Each read is one transaction, so it sees one state of the database.
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
                    while let job = queue.pop() { Self.run(job, connection, session) }
                })
        }
        self.threads = threads
    }

    private static func run(_ job: DatabaseJob, _ connection: SQLiteConnection, _ session: DatabaseSession) {
        guard !job.interruption.isDue else { return job.fail(DatabaseError.cancelled()) }
        connection.interruption = job.interruption
        do {
            _ = try connection.execute("begin", [])
            try job.run(session)
            _ = try connection.execute("commit", [])
            connection.interruption = nil
            job.succeed()
        } catch {
            connection.interruption = nil
            if !connection.isInAutocommit { _ = try? connection.execute("rollback", []) }
            job.fail(error)
        }
    }

    func close() async {
        queue.close()
        for thread in threads { await thread.wait() }
    }
}

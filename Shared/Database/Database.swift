// SPDX-License-Identifier: Apache-2.0

/// A service's own database: one API on SQLite and on PostgreSQL (D18).
///
/// Closures are synchronous and run on a thread that owns its connection, so no transaction can wait for the network.
package final class Database: Sendable {
    package let engine: DatabaseEngine
    private let implementation: any DatabaseImplementation

    /// Opens the database. Nothing else runs yet.
    ///
    /// - Throws: `DatabaseError` when the file or the server cannot be opened.
    package init(_ configuration: DatabaseConfiguration) throws(DatabaseError) {
        switch configuration.location {
        case .sqlite(let path):
            engine = .sqlite
            implementation = try SQLiteDatabase(path: path, configuration: configuration)
        case .postgres(let url):
            engine = .postgres
            implementation = try PostgresDatabase(url: url, configuration: configuration)
        }
    }

    /// Runs `body` in a read-only transaction: on SQLite perhaps one that other reads which waited share, and which
    /// began after this call in any case.
    ///
    /// - Parameter deadline: when to give up (57014), also while waiting for a connection.
    /// - Throws: what `body` throws, as it is; else `DatabaseError`. A cancelled task stops the statement.
    package func read<Result: Sendable>(
        deadline: ContinuousClock.Instant? = nil,
        _ body: @escaping @Sendable (DatabaseSession) throws -> Result
    ) async throws -> Result {
        try await submit(deadline, alone: false, body, to: implementation.read)
    }

    /// Runs `body` in a transaction that writes, and returns after it is durable.
    ///
    /// - Parameters:
    ///   - deadline: when to give up (57014), also while waiting.
    ///   - alone: shares its commit with no other write; for bulk work (D20c).
    ///   - body: may run more than once, and leaves nothing behind outside the session.
    /// - Throws: what `body` throws, as it is, after undoing everything; else `DatabaseError`. `08007` means that the
    ///   connection was lost during the commit and nobody knows its outcome.
    @discardableResult
    package func write<Result: Sendable>(
        deadline: ContinuousClock.Instant? = nil, alone: Bool = false,
        _ body: @escaping @Sendable (DatabaseSession) throws -> Result
    ) async throws -> Result {
        try await submit(deadline, alone: alone, body, to: implementation.write)
    }

    /// Work that waits for a connection now; a gauge.
    package var waiting: Int { implementation.waiting }

    /// Finishes what waits, then closes every connection. Later work is refused with 57P01.
    package func close() async { await implementation.close() }

    private func submit<Result: Sendable>(
        _ deadline: ContinuousClock.Instant?, alone: Bool,
        _ body: @escaping @Sendable (DatabaseSession) throws -> Result,
        to enqueue: (DatabaseJob) -> JobQueue<DatabaseJob>.PushResult
    ) async throws -> Result {
        let interruption = Interruption(deadline: deadline)
        return try await withTaskCancellationHandler {
            // Unchecked: a job that was accepted is succeeded or failed once, by the protocol of `DatabaseJob`.
            try unsafe await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Result, any Error>) in
                let box = ResultBox<Result>()
                let job = DatabaseJob(
                    run: { session in box.set(try body(session)) },
                    succeed: {
                        if let result = box.take() { unsafe continuation.resume(returning: result) }
                    },
                    fail: { unsafe continuation.resume(throwing: $0) }, interruption: interruption, alone: alone)
                switch enqueue(job) {
                case .accepted: break
                case .full: unsafe continuation.resume(throwing: DatabaseError.tooMuchWaiting)
                case .closed: unsafe continuation.resume(throwing: DatabaseError.closed)
                }
            }
        } onCancel: {
            interruption.cancel()
        }
    }
}

/// What an engine does with jobs.
protocol DatabaseImplementation: Sendable {
    func read(_ job: DatabaseJob) -> JobQueue<DatabaseJob>.PushResult
    func write(_ job: DatabaseJob) -> JobQueue<DatabaseJob>.PushResult
    var waiting: Int { get }
    func close() async
}

/// SQLite: one writer, several readers.
final class SQLiteDatabase: DatabaseImplementation {
    private let writes = JobQueue<DatabaseJob>(capacity: DatabaseLimits.waitingMax)
    private let reads: JobQueue<DatabaseJob>
    private let writer: SQLiteWriter
    private let readers: SQLiteReaders

    init(path: String, configuration: DatabaseConfiguration) throws(DatabaseError) {
        reads = JobQueue(capacity: DatabaseLimits.waitingMax, deferWakeUp: configuration.deferWakeUp)
        // The writer first: it puts the file into WAL mode.
        writer = SQLiteWriter(
            connection: try SQLiteConnection(path: path, role: .writer, configuration: configuration), queue: writes)
        var connections: [Handover<SQLiteConnection>] = []
        for _ in 0..<max(1, configuration.readers) {
            connections.append(
                Handover(try SQLiteConnection(path: path, role: .reader, configuration: configuration)))
        }
        readers = SQLiteReaders(connections: connections, queue: reads)
    }

    func read(_ job: DatabaseJob) -> JobQueue<DatabaseJob>.PushResult { reads.push(job) }
    func write(_ job: DatabaseJob) -> JobQueue<DatabaseJob>.PushResult { writes.push(job) }
    var waiting: Int { reads.waiting + writes.waiting }

    func close() async {
        await readers.close()
        // The writer last: it checkpoints when it closes.
        await writer.close()
    }
}

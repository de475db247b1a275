// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletDatabase
internal import MartletTracing
internal import MartletWire

/// Makes jobs of the changes in data's log. The jobs and the place in the log change in one transaction: each change
/// makes its jobs once, however often this process is killed.
struct TriggerConsumer: Sendable {
    let triggers: [Trigger]
    let database: Database
    let source: any LogSource
    let metrics: JobMetrics
    let logger: Logger
    var tracer = Tracer.off
    let clock: @Sendable () -> Moment
    /// Says that jobs have come.
    let wake: @Sendable () -> Void

    private static let consumer = LogConsumer(name: "triggers", stream: BusLogSource.stream)
    private static let pauseMin = Duration.milliseconds(50)
    private static let pauseMax = Duration.seconds(5)

    /// Takes a place in the log if there is none yet: its end, for a trigger hears of what happens from now on.
    func begin() async throws {
        let database = database
        if triggers.isEmpty {
            // A place that nobody reads from would be lost one day, and reported as a loss.
            try await database.write { session in
                try session.execute(
                    "delete from cursor where consumer = $1 and stream = $2",
                    [.text(Self.consumer.name), .text(Self.consumer.stream)])
            }
            return
        }
        if try await database.read({ try Self.consumer.cursor(in: $0) }) != nil { return }
        let reply = try await source.pull(epoch: 0, after: 0)
        try await start(at: reply)
    }

    /// Reads on whenever something may have come, until its task is cancelled.
    func run(wakes: AsyncStream<Void>) async {
        guard !triggers.isEmpty else { return }
        var pause = Self.pauseMin
        for await _ in wakes {
            while !Task.isCancelled {
                do {
                    let isDone = try await turn()
                    pause = Self.pauseMin
                    if isDone { break }
                } catch {
                    logger.warning("Triggers cannot read the change log now.", metadata: ["error.detail": "\(error)"])
                    try? await Task.sleep(for: pause * Double.random(in: 0.5...1))
                    pause = min(pause * 2, Self.pauseMax)
                }
            }
        }
    }

    /// Reads one batch; true when there was nothing more.
    func turn() async throws -> Bool {
        guard let cursor = try await database.read({ try Self.consumer.cursor(in: $0) }) else {
            try await begin()
            return false
        }
        let reply = try await source.pull(epoch: cursor.epoch, after: cursor.sequence)
        guard reply.outcome == .entries else {
            metrics.lostChanges()
            logger.error(
                "Changes are no longer in the log; triggers do not hear of them and go on at its end.",
                metadata: [
                    "log.epoch": "\(cursor.epoch)", "log.after": "\(cursor.sequence)", "log.head": "\(reply.head)",
                ])
            try await start(at: reply)
            return false
        }
        guard let last = reply.entries.last else { return true }
        let made = try await store(reply)
        if made > 0 {
            metrics.triggered(made)
            wake()
        }
        return last.sequence >= reply.head
    }

    private func start(at reply: Martlet_Wire_V1_LogPullReply) async throws {
        let place = LogCursor(epoch: Int64(clamping: reply.epoch), sequence: Int64(clamping: reply.head))
        try await database.write { try Self.consumer.start(at: place, in: $0) }
    }

    private func store(_ reply: Martlet_Wire_V1_LogPullReply) async throws -> Int {
        // Read before the transaction, which may run more than once.
        let entries = reply.entries.map { entry in
            let change = LoggedChange(
                id: entry.id, headers: entry.headers, key: entry.key, microseconds: entry.timeMicroseconds,
                body: Array(entry.body))
            return (
                sequence: Int64(clamping: entry.sequence),
                entry: change.map { change in triggers.filter { $0.matches(change) }.map { ($0, change) } } ?? []
            )
        }
        let (now, epoch) = (clock(), Int64(clamping: reply.epoch))
        #if MUTANT_TRIGGER_CURSOR_OUTSIDE
            if let last = entries.last {
                try await start(at: epoch, last.sequence)
            }
        #endif
        return try await database.write { session in
            let disabled = try TriggerStore.disabled(in: session)
            var made = 0
            func makeJobs(_ pairs: [(Trigger, LoggedChange)]) throws {
                for (trigger, change) in pairs where !disabled.contains(trigger.name) {
                    let span = tracer.begin("trigger \(trigger.name)", .producer, in: change.trace)
                    var job = trigger.job(for: change, now: now)
                    job.trace = span.context
                    let isNew = try JobStore.insert(job, now: now, in: session)
                    guard isNew else { continue }
                    made += 1
                    span.end { attributes in
                        attributes.set(.messagingSystem, "martlet")
                        attributes.set(.messagingOperation, "create")
                        attributes.set(.messagingOperationType, "create")
                        attributes.set(.messagingDestination, trigger.function)
                        attributes.set(.messagingMessage, job.id)
                    }
                }
            }
            #if MUTANT_TRIGGER_CURSOR_OUTSIDE
                for entry in entries { try makeJobs(entry.entry) }
            #else
                try Self.consumer.apply(entries, epoch: epoch, in: session, effect: makeJobs)
            #endif
            return made
        }
    }

    #if MUTANT_TRIGGER_CURSOR_OUTSIDE
        private func start(at epoch: Int64, _ sequence: Int64) async throws {
            try await database.write { session in
                try Self.consumer.start(at: LogCursor(epoch: epoch, sequence: sequence), in: session)
            }
        }
    #endif
}

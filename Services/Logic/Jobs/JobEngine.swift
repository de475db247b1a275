// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletBus
internal import MartletDatabase
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// Jobs, triggers and schedules of a project: everything that calls functions later. The service holds one.
final class JobEngine: Sendable {
    /// What data publishes when the log has grown.
    private static let doorbell = Array("log/rows".utf8)
    /// How long nothing may ring before the log is looked at anyway.
    private static let idleInterval = Duration.seconds(1)
    /// Longest pause between two attempts to reach the database or the log.
    private static let pauseMax = Duration.seconds(5)
    /// Calls at once that are made for jobs.
    private static let slots = 32
    /// A function has a bound of its own below this (FN-09).
    private static let callMax = Duration.seconds(400)

    private struct Opened {
        let database: Database
        let runner: JobRunner
        let consumer: TriggerConsumer
        let scheduler: Scheduler
        let routes: AdminRoutes
    }

    private let context: ServiceContext
    private let caller: any FunctionCaller
    private let triggers: [Trigger]
    private let schedules: [Schedule]
    private let isFunction: @Sendable (String) -> Bool
    private let opened = Mutex<Opened?>(nil)

    /// - Throws: `StartFailure` that names the key of a schedule that is none.
    init(_ context: ServiceContext, caller: any FunctionCaller) throws(StartFailure) {
        self.context = context
        self.caller = caller
        let tables = context.settings.tables
        let project = context.project
        triggers = tables.triggers.map(Trigger.init)
        do throws(ScheduleFault) {
            schedules = try tables.schedules.map { entry throws(ScheduleFault) in try Schedule(entry) }
        } catch { throw StartFailure(.configuration, error.message) }
        isFunction = { tables.function($0, in: project)?.isEnabled == true }
    }

    /// A request below `/_admin`.
    func answer(_ inbound: InboundRequest, _ head: HTTPRequestHead) async -> OutboundReply {
        guard let routes = opened.withLock({ $0?.routes }) else {
            return OutboundReply(
                header: ReplyHeader(code: .unavailable, executed: .no, message: "the jobs are not open yet"))
        }
        let answer = await routes.answer(
            head, path: String(head.path.dropFirst("/_admin".count)), body: Array(inbound.payload.readableBytesView),
            header: inbound.header)
        return OutboundReply(header: ReplyHeader(http: answer.head), payload: ByteBuffer(string: answer.body.text))
    }

    /// Opens the database, waiting for a server that is away, and takes places in the log and the calendar. The service
    /// is ready after it.
    func open() async throws {
        var pause = Duration.milliseconds(100)
        while true {
            do {
                try await openOnce()
                return
            } catch let error as DatabaseError where !error.isPassing {
                throw StartFailure(
                    .configuration, "The database of logic cannot be used: \(error.sqlState) \(error.message)")
            } catch let error as CancellationError {
                throw error
            } catch {
                try Task.checkCancellation()
                context.readiness.set(.notReady(error is DatabaseError ? "no database" : "no change log"))
                context.logger.warning("Jobs cannot begin yet.", metadata: ["error.detail": "\(error)"])
            }
            try await Task.sleep(for: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    private func openOnce() async throws {
        let database = try Database(DatabaseConfiguration(logic: context.settings, context.dataDirectory))
        do {
            try await database.migrate(LogicSchema.migrations)
            let opened = parts(database)
            try await opened.routes.triggers.adopt(triggers)
            try await opened.routes.schedules.adopt(schedules, now: .now)
            // The file belongs to one process, which is this one.
            if database.engine == .sqlite { try await opened.routes.store.giveUpAll(now: .now) }
            try await opened.consumer.begin()
            self.opened.withLock { $0 = opened }
        } catch {
            await database.close()
            throw error
        }
    }

    private func parts(_ database: Database) -> Opened {
        let clock: @Sendable () -> Moment = { .now }
        let metrics = JobMetrics(context.metrics)
        let store = JobStore(database: database)
        let runner = JobRunner(
            store: store, caller: caller, slots: JobSlots(Self.slots), timeout: Self.callMax, metrics: metrics,
            logger: context.logger, tracer: context.tracer, clock: clock)
        let scheduleStore = ScheduleStore(database: database, tracer: context.tracer)
        return Opened(
            database: database, runner: runner,
            consumer: TriggerConsumer(
                triggers: triggers, database: database, source: BusLogSource(bus: context.bus), metrics: metrics,
                logger: context.logger, tracer: context.tracer, clock: clock, wake: { runner.wake() }),
            scheduler: Scheduler(
                schedules: schedules, store: scheduleStore, metrics: metrics, logger: context.logger, clock: clock,
                wake: { runner.wake() }),
            routes: AdminRoutes(
                store: store, triggers: TriggerStore(database: database), schedules: scheduleStore,
                isFunction: isFunction, wake: { runner.wake() }, clock: clock, logger: context.logger))
    }

    /// Works until its task is cancelled. `drain` first lets what runs come to its end.
    func run() async {
        guard let opened = opened.withLock({ $0 }) else { return }
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await opened.runner.run() }
            group.addTask { await opened.scheduler.run() }
            guard !triggers.isEmpty else { return }
            group.addTask { await opened.consumer.run(wakes: wakes) }
            group.addTask {
                while !Task.isCancelled {
                    wake.yield()
                    try? await Task.sleep(for: Self.idleInterval)
                }
            }
            group.addTask { [context] in
                await context.bus.withSubscription(to: .data, topic: Self.doorbell) { events in
                    for await _ in events { wake.yield() }
                }
            }
        }
    }

    /// Begins no job any more and waits for those that run, half of the time that the process has; what still runs then
    /// begins again at the next start.
    func drain() async {
        guard let opened = opened.withLock({ $0 }) else { return }
        await opened.runner.drain(within: context.settings[\.process.drainTimeout] / 2)
    }

    func close() async {
        let opened = opened.withLock { opened in
            defer { opened = nil }
            return opened
        }
        await opened?.database.close()
    }
}

extension DatabaseError {
    /// Whether the server may be there later.
    fileprivate var isPassing: Bool {
        isRetriable || sqlState.hasPrefix("08") || sqlState.hasPrefix("53") || sqlState == "57014"
    }
}

extension DatabaseConfiguration {
    /// Logic's own database: a file of the data directory, or a server.
    init(logic settings: Settings, _ directory: DataDirectory) {
        let engine = settings[\.logic.engine]
        self.init(location: engine == "sqlite" ? .sqlite(path: directory.database(of: .logic)) : .postgres(url: engine))
    }
}

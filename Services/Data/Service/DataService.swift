// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletBus
internal import MartletDatabase
internal import MartletSQL
package import MartletServiceKit
import MartletTracing
package import MartletWire
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// The data service: the application's tables over `/rest/v1`, and `auth.users` for the authentication service.
package final class DataService: MartletService {
    package static let name = ServiceName.data

    let context: ServiceContext
    private let opened = Mutex<Opened?>(nil)
    /// The private server, from its start to the end of the service.
    private let managed = Mutex<ManagedPostgres?>(nil)
    private let requests: Counter
    private let failures: Counter

    private struct Opened {
        var engine: any RowEngine
        var handler: RestHandler
        var batches: BatchHandler
    }

    package init(_ context: ServiceContext) async throws {
        self.context = context
        requests = context.metrics.counter("martlet_data_requests_total", "Requests of the data API.")
        failures = context.metrics.counter(
            "martlet_data_failures_total", "Requests of the data API that the server answered with 5xx.")
        context.bus.handle(MethodRegistry.httpRead) { [weak self] request in
            await self?.answer(request) ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.httpWrite) { [weak self] request in
            await self?.answer(request) ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.dataBatch) { [weak self] request in
            await self?.batch(request) ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.usersPut) { [weak self] request in
            await self?.users { await $0.put(request) } ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.usersDelete) { [weak self] request in
            await self?.users { await $0.delete(request) } ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.usersChanges) { [weak self] request in
            await self?.users { await $0.changes(request) } ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.logPull) { [weak self] request in
            await self?.pull(request) ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.visible) { [weak self] request in
            await self?.feed { await $0.visible(request) } ?? Self.notReady
        }
        context.bus.handle(MethodRegistry.feedDescribe) { [weak self] request in
            await self?.feed { await $0.describe(request) } ?? Self.notReady
        }
    }

    package func run() async throws {
        guard let started = try await start() else { return }
        let engine = traced(started)
        let rowsMax = Int64(context.settings[\.data.rowsMax])
        let handler: RestHandler
        do {
            try checkTriggers(engine.schema)
            let rules = try rules(engine.schema)
            try await engine.prepareRules(rules?.tables ?? [])
            handler = RestHandler(engine: engine, rowsMax: rowsMax, rules: rules)
        } catch {
            await engine.close()
            throw error
        }
        opened.withLock { $0 = Opened(engine: engine, handler: handler, batches: BatchHandler(engine: engine)) }
        context.readiness.set(.ready)
        let doorbell = Doorbell(log: engine.log, bus: context.bus)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await engine.runLog() }
            group.addTask { await doorbell.run() }
            group.addTask { [self] in await trim(engine.log) }
            try await gracefulShutdown()
            group.cancelAll()
        }
    }

    /// Pause between two looks at the log's age and size.
    private static let trimPause = Duration.seconds(30)

    private func trim(_ log: any LogStore) async {
        let retention = LogRetention(
            age: context.settings[\.data.logRetention], bytesMax: Int64(context.settings[\.data.logBytesMax]))
        while !Task.isCancelled {
            do {
                while try await log.trim(LogStream.rows, retention) == LogRetention.entriesMax {}
            } catch {
                guard !Task.isCancelled else { return }
                context.logger.warning("The log was not trimmed.", metadata: ["error.detail": "\(error)"])
            }
            try? await Task.sleep(for: Self.trimPause)
        }
    }

    package func close() async {
        let engine = opened.withLock { opened in
            defer { opened = nil }
            return opened?.engine
        }
        await engine?.close()
        let managed = managed.withLock { managed in
            defer { managed = nil }
            return managed
        }
        await managed?.close()
    }

    private func traced(_ engine: any RowEngine) -> any RowEngine {
        guard context.tracer.isOn else { return engine }
        let system = engine is SQLiteEngine ? "sqlite" : "postgresql"
        return TracedEngine(engine: engine, tracer: context.tracer, system: system)
    }

    // MARK: Start

    /// Longest pause between two attempts to reach the database.
    private static let pauseMax = Duration.seconds(5)

    /// Opens the database and brings the project's schema into it, waiting for a server that is away. Nil when the
    /// process is asked to stop meanwhile.
    private func start() async throws -> (any RowEngine)? {
        let named = EngineChoice(setting: context.settings[\.data.engine])
        let choice = if let named { named } else { try await EngineChoice.decide(context) }
        var url = ""
        var logins: PostgresLogins?
        switch choice {
        case .sqlite: break
        case .server(let named): url = named
        case .managed:
            let server = try ManagedPostgres.of(context.settings, context.dataDirectory, context.logger)
            managed.withLock { $0 = server }
            context.readiness.set(.notReady("PostgreSQL is starting"))
            do {
                try await cancelWhenGracefulShutdown { try await server.start() }
            } catch is CancellationError {
                return nil
            }
            url = server.url
            logins = server.logins
        }
        var pause = Duration.milliseconds(100)
        while true {
            do {
                let engine = try await openAndMigrate(choice == .sqlite ? nil : url, logins)
                if case .server = choice {} else { try EngineChoice.record(choice, in: context.dataDirectory) }
                return engine
            } catch let failure as MigrationFailure {
                throw StartFailure(
                    .configuration, "The project cannot be used: \(failure)\(Self.wayOut(failure, choice, named))")
            } catch let error as DatabaseError where error.sqlState.hasPrefix("08") || error.sqlState == "57P03" {
                context.readiness.set(.notReady("no database"))
                context.logger.warning("The database is away.", metadata: ["error.detail": "\(error.message)"])
            } catch let error as DatabaseError {
                throw StartFailure(
                    .configuration, "The database cannot be used: \(error.message) (\(error.sqlState))")
            }
            do {
                let wait = pause * Double.random(in: 0.5...1)
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: wait) }
            } catch {
                return nil
            }
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    /// What helps against a statement that only SQLite refuses.
    private static func wayOut(_ failure: MigrationFailure, _ choice: EngineChoice, _ named: EngineChoice?) -> String {
        guard failure.sqlState == "0A000", choice == .sqlite, named == nil else { return "" }
        return "\nThe project is on SQLite since its first start. `martlet move --to postgres` takes it to PostgreSQL."
    }

    /// - Parameter url: the server's; nil for SQLite.
    private func openAndMigrate(_ url: String?, _ logins: PostgresLogins?) async throws -> any RowEngine {
        let settings = context.settings
        let files = ProjectFiles(project: context.project)
        let migrations = try files.migrations()
        let schemas = settings[\.data.schemas].isEmpty ? ["public"] : settings[\.data.schemas]
        let captured = Set(settings.tables.triggers.map { QualifiedName($0.table.schema, $0.table.name) })
        let engine: any RowEngine =
            if let url {
                try await PostgresEngine.open(
                    url: url, poolSize: settings[\.data.poolSize], exposedSchemas: schemas, captured: captured,
                    logins: logins)
            } else {
                try await SQLiteEngine.open(
                    path: context.dataDirectory.database(of: .data), readers: settings[\.data.readers],
                    exposedSchemas: schemas,
                    captured: captured,
                    // Reads are asked for on the bus thread, many in one round.
                    deferWakeUp: { [executor = context.bus.executor] in executor.atRoundEnd($0) })
            }
        do {
            let report = try await engine.migrate(
                migrations, requiresRowSecurity: settings[\.data.requiresRowSecurity])
            context.logger.info(
                "Migrations are applied.",
                metadata: ["migrations.applied": "\(report.applied.count)", "migrations.present": "\(report.present)"])
            if !report.absentExtensions.isEmpty {
                context.logger.warning(
                    "Extensions were left out: the server does not have them.",
                    metadata: ["postgres.extensions": "\(report.absentExtensions.joined(separator: ", "))"])
            }
            for seed in context.mode == .development ? try files.seeds(settings) : []
            where try await engine.seed(seed.sql, fileName: seed.name) {
                context.logger.info("The seed is applied.", metadata: ["seed.file": "\(seed.name)"])
            }
            // Migrations and a seed take some ten megabytes to read, once.
            ProcessMemory.giveBack()
            return engine
        } catch {
            await engine.close()
            throw error
        }
    }

    // MARK: Requests

    private static let notReady = OutboundReply(
        header: ReplyHeader(code: .unavailable, executed: .no, message: "the data service is not ready"))

    private func answer(_ request: InboundRequest) async -> OutboundReply {
        guard let handler = opened.withLock({ $0?.handler }) else { return Self.notReady }
        guard let head = request.header.http else {
            return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no, message: "no HTTP head"))
        }
        requests.increment()
        let reply = await handler.answer(
            RestRequest(
                head: head, body: Array(request.payload.readableBytesView), principal: request.header.principal,
                trace: request.header.trace, idempotencyKey: request.header.idempotencyKey,
                deadline: request.deadline))
        if reply.status >= 500 {
            failures.increment()
            context.logger(for: request.header).error(
                "A request has failed.",
                metadata: [
                    "http.status": "\(reply.status)", "error.detail": "\(String(decoding: reply.body, as: UTF8.self))",
                ])
        }
        return OutboundReply(
            header: ReplyHeader(http: HTTPResponseHead(status: reply.status, fields: reply.fields)),
            payload: ByteBuffer(bytes: reply.body))
    }

    private func batch(_ request: InboundRequest) async -> OutboundReply {
        guard let batches = opened.withLock({ $0?.batches }) else { return Self.notReady }
        let reply = await batches.answer(
            Array(request.payload.readableBytesView), principal: request.header.principal,
            trace: request.header.trace, key: request.header.idempotencyKey, deadline: request.deadline)
        return OutboundReply(
            header: ReplyHeader(http: HTTPResponseHead(status: reply.status, fields: reply.fields)),
            payload: ByteBuffer(bytes: reply.body))
    }

    private func pull(_ request: InboundRequest) async -> OutboundReply {
        guard let log = opened.withLock({ $0?.engine.log }) else { return Self.notReady }
        return await LogMethods(log: log).pull(request)
    }

    private func users(_ body: (UserMethods) async -> OutboundReply) async -> OutboundReply {
        guard let engine = opened.withLock({ $0?.engine }) else { return Self.notReady }
        return await body(UserMethods(engine: engine))
    }

    private func feed(_ body: (VisibleMethods) async -> OutboundReply) async -> OutboundReply {
        guard let engine = opened.withLock({ $0?.engine }) else { return Self.notReady }
        return await body(VisibleMethods(engine: engine))
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletBus
package import MartletJSON
internal import MartletTracing
package import MartletWire
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import UnixSignals

/// Runs services in this process until they are asked to stop: one in an executable, all five in `martlet up`.
package struct Assembly: Sendable {
    /// How the services find each other.
    package enum Topology: Sendable {
        /// All of them are here and talk through memory.
        case oneProcess
        /// The others are processes of their own.
        case separate
    }

    /// Requests in flight between edge and logic.
    private static let slowRequestsMax = 512
    /// How long cancelled services may take to end; then the process is ended by a trap.
    private static let cancellationMax = Duration.seconds(5)

    private let services: [any MartletService.Type]
    private let settings: Settings
    private let topology: Topology
    private let sink: LogSink
    private let signals: [UnixSignal]

    /// With `handlesSignals` SIGTERM and SIGINT stop it; without, the graceful shutdown or the cancellation of the task
    /// that runs it.
    package init(
        services: [any MartletService.Type], settings: Settings, topology: Topology, sink: LogSink = .standardError,
        handlesSignals: Bool = true
    ) {
        self.services = services
        self.settings = settings
        self.topology = topology
        self.sink = sink
        signals = handlesSignals ? [.sigterm, .sigint] : []
    }

    /// Returns after a graceful stop. Throws `StartFailure` when something cannot start, and the error of a service that
    /// fails. `whenReady` is called once, when every service is ready, with what each listens on.
    package func run(
        whenReady: @escaping @Sendable ([ServiceName: JSONObject]) -> Void = { _ in }
    ) async throws {
        ProcessMemory.bound()
        let directory = try DataDirectory(path: DataDirectory.path(settings))
        let names = services.map { $0.name }
        var locks: [ServiceLock] = []
        for name in names { locks.append(try directory.lock(name)) }
        let thread: BusThread
        do { thread = try BusThread() } catch { throw StartFailure(.internalError, error.message) }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let processLogger = logger(for: names.count == 1 ? names[0].rawValue : "martlet")
        processLogger.info(
            "Starting.",
            metadata: [
                "martlet.version": "\(MartletVersion.current)", "martlet.env": "\(settings[\.process.mode].rawValue)",
                "martlet.project": "\(settings.project.path)", "martlet.data_dir": "\(directory.path)",
            ])
        warn(processLogger)

        let traces: TraceExport?
        do { traces = try TraceExport.start(settings, logger: processLogger) } catch {
            await stop(thread, group, nil)
            throw error
        }
        do {
            let (hosts, admins) = try await build(directory, thread, group, traces)
            try await run(hosts: hosts, admins: admins, logger: processLogger, whenReady: whenReady)
        } catch {
            await stop(thread, group, traces)
            throw error
        }
        await stop(thread, group, traces)
        _ = consume locks
    }

    private func build(
        _ directory: DataDirectory, _ thread: BusThread, _ group: any EventLoopGroup, _ traces: TraceExport?
    ) async throws -> (hosts: [ServiceHost], admins: [AdminServer]) {
        var admins: [AdminServer] = []
        var hosts: [ServiceHost] = []
        do {
            for service in services {
                let host = try await host(service, directory: directory, thread: thread, traces: traces)
                hosts.append(host)
                admins.append(try await admin(for: host.context, group: group))
            }
        } catch {
            for host in hosts {
                await host.service.close()
                host.context.listeners.removeAll()
            }
            throw error
        }
        return (hosts, admins)
    }

    private func run(
        hosts: [ServiceHost], admins: [AdminServer], logger: Logger,
        whenReady: @escaping @Sendable ([ServiceName: JSONObject]) -> Void
    ) async throws {
        // Shutdown goes from the end: the edge first, since it needs the others, and the probes last.
        let ordered = hosts.filter { $0.context.name != .edge } + hosts.filter { $0.context.name == .edge }
        let notice = ReadyNotice(contexts: hosts.map(\.context), body: whenReady)
        let all: [(service: any Service, name: String)] =
            admins.map { ($0, "admin") } + ordered.map { ($0, $0.context.name.rawValue) } + [(notice, "ready notice")]
        var configuration = ServiceGroupConfiguration(
            services: all.map {
                .init(service: $0.service, failureTerminationBehavior: .gracefullyShutdownGroup, serviceName: $0.name)
            },
            gracefulShutdownSignals: signals, logger: Self.quiet(logger))
        configuration.maximumGracefulShutdownDuration = settings[\.process.drainTimeout]
        configuration.maximumCancellationDuration = Self.cancellationMax
        do { try await ServiceGroup(configuration: configuration).run() } catch is CancellationError {
            // That of this task or of a service: told apart below.
        }
        try Task.checkCancellation()
        // What did not stop in time was cancelled by the group, which ends with or without an error then.
        let overdue = hosts.filter(\.wasCancelled.value).map(\.context.name.rawValue)
        guard overdue.isEmpty else {
            let limit = DurationText.text(settings[\.process.drainTimeout])
            throw StartFailure(
                .internalError,
                "Cancelled, since draining took longer than martlet.drain_timeout (\(limit)): "
                    + overdue.joined(separator: ", "))
        }
    }

    /// The group's own lines repeat ours.
    private static func quiet(_ logger: Logger) -> Logger {
        var logger = logger
        logger.logLevel = max(logger.logLevel, .warning)
        return logger
    }

    private func host(
        _ type: any MartletService.Type, directory: DataDirectory, thread: BusThread, traces: TraceExport?
    ) async throws -> ServiceHost {
        let name = type.name
        var logger = logger(for: name.rawValue)
        let instance = settings[\.process.instance] ?? "\(name.rawValue)-\(ProcessNumber.own)"
        if settings[\.process.instance] != nil { logger[metadataKey: "service.instance"] = "\(instance)" }
        let metrics = MetricsRegistry()
        ProcessMetrics.register(in: metrics)
        let telemetry = BusTelemetry(logger: logger, metrics: metrics)
        var configuration = BusConfiguration(
            service: name, instance: instance, observer: { telemetry.observe($0) })
        let tracer = traces?.tracer(of: name, instance: instance, metrics: metrics) ?? .off
        if tracer.isOn { configuration.around = BusSpans.around(tracer) }
        let endpoints: BusEndpoints
        var allowed: AllowList?
        switch topology {
        case .oneProcess:
            endpoints = .oneProcess(name, among: services.map { $0.name })
            // The callers are here and drain before; nothing is on its way from elsewhere.
            configuration.limits.drainGrace = .milliseconds(20)
        case .separate:
            endpoints = try .separate(name, settings: settings, directory: directory)
            let keys = try BusKeys.load(name, from: directory, mode: settings[\.process.mode])
            configuration.keys = keys.own
            configuration.serverKeys = keys.serverKeys
            configuration.allowed = keys.allowed
            allowed = keys.allowed
        }
        // Before the process gives up, so that what is still running then is cancelled and answered.
        let drainTimeout = settings[\.process.drainTimeout]
        configuration.limits.drainMax = BusSpan(max(drainTimeout - .seconds(2), drainTimeout / 2))
        // Functions may take minutes, so many requests are in hand on the link between these two. Others grant fewer.
        if name == .logic || name == .edge { configuration.limits.requestsMax = Self.slowRequestsMax }
        configuration.requestEndpoints = endpoints.request
        configuration.eventEndpoints = endpoints.event
        configuration.peers = endpoints.peers
        let bus: Bus
        do throws(BusError) { bus = try Bus(configuration, on: thread) } catch {
            throw StartFailure(.unavailable, "The \(name.rawValue) service cannot listen: \(error.message)")
        }
        telemetry.collect(from: bus)
        let readiness = Readiness()
        StatusMethod.serve(on: bus, instance: instance, readiness: readiness)
        let listeners = Listeners(name, file: PortsFile(directory), logger: logger)
        listeners.add("request", bus.boundRequestEndpoints.joined(separator: " "))
        listeners.add("event", bus.boundEventEndpoints.joined(separator: " "))
        let context = ServiceContext(
            name: name, instance: instance, settings: settings, dataDirectory: directory, logger: logger, bus: bus,
            readiness: readiness, metrics: metrics, tracer: tracer, listeners: listeners)
        return ServiceHost(
            service: try await type.init(context), context: context,
            watcher: allowed.map {
                (AllowListWatcher(bus: bus, path: BusKeys.allowFile(directory), logger: logger), $0)
            })
    }

    private func admin(for context: ServiceContext, group: any EventLoopGroup) async throws -> AdminServer {
        let address = settings[\.admin.address]
        guard let setting = SettingsTable.shared.admin.port(of: context.name) else {
            throw StartFailure(.internalError, "The \(context.name.rawValue) has no admin port.")
        }
        do {
            let server = try await AdminServer(
                address: address, port: settings[setting],
                source: AdminSource(readiness: context.readiness, metrics: context.metrics), group: group)
            let host = address.contains(":") ? "[\(address)]" : address
            context.listeners.add("admin", "http://\(host):\(server.port)")
            return server
        } catch {
            throw StartFailure(
                .unavailable, "\(setting.path): \(address):\(settings[setting]) cannot be bound: \(error)")
        }
    }

    private func logger(for service: String) -> Logger {
        ProcessLogger.make(service, settings: settings, sink: sink)
    }

    private func warn(_ logger: Logger) {
        if !settings.unusedKeys.isEmpty {
            logger.warning(
                "Keys of config.toml that have no effect here.",
                metadata: ["settings.keys": "\(settings.unusedKeys.joined(separator: ", "))"])
        }
        if !settings.unusedVariables.isEmpty {
            logger.warning(
                "Environment variables that belong to no key.",
                metadata: ["settings.variables": "\(settings.unusedVariables.joined(separator: ", "))"])
        }
    }

    private func stop(_ thread: BusThread, _ group: MultiThreadedEventLoopGroup, _ traces: TraceExport?) async {
        await traces?.stop()
        thread.shutDown()
        try? await group.shutdownGracefully()
    }
}

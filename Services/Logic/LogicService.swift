// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletAccessTokens
internal import MartletBus
internal import MartletJSON
package import MartletServiceKit
internal import MartletTracing
package import MartletWire
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle

/// The logic service: functions of the project behind `/functions/v1`.
package final class LogicService: MartletService {
    package static let name = ServiceName.logic

    private let context: ServiceContext
    /// Connections to functions live on it.
    private let group: MultiThreadedEventLoopGroup
    private let workers: FunctionWorkers
    /// Of the workers' sockets.
    private let folder: String
    private let calls: FunctionCalls
    private let jobs: JobEngine

    package init(_ context: ServiceContext) async throws {
        self.context = context
        let plan = try Self.plan(context)
        folder = try Self.socketFolder(context.dataDirectory)
        let catalogue = FunctionCatalogue(tables: context.settings.tables, project: context.project)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        workers = FunctionWorkers(
            plan: plan, folder: folder, group: group, logger: context.logger, metrics: context.metrics)
        calls = FunctionCalls(
            catalogue: catalogue, workers: workers, group: group, logger: context.logger,
            metrics: FunctionMetrics(context.metrics))
        let caller: any FunctionCaller =
            context.tracer.isOn ? TracedCaller(caller: calls, tracer: context.tracer) : calls
        let jobs = try JobEngine(context, caller: caller)
        self.jobs = jobs
        let route = FunctionRoute(catalogue: catalogue, calls: caller, admin: { await jobs.answer($0, $1) })
        for method in [MethodRegistry.httpRead, MethodRegistry.httpWrite] {
            context.bus.handle(method) { await route.answer($0) }
        }
        let decisions = RuleDecisions(functions: caller)
        context.bus.handle(MethodRegistry.logicDecide) { await decisions.decide($0) }
    }

    package func run() async throws {
        await workers.clear()
        do { try await cancelWhenGracefulShutdown { [jobs] in try await jobs.open() } } catch is CancellationError {
            // Asked to stop before it could begin.
            return try Task.checkCancellation()
        }
        context.readiness.set(.ready)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [jobs] in await jobs.run() }
            try? await gracefulShutdown()
            await jobs.drain()
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    package func close() async {
        await jobs.close()
        await calls.close()
        try? await group.shutdownGracefully()
        // Only what was made for this process alone is empty now and not needed again.
        if !folder.hasPrefix(context.dataDirectory.path) { rmdir(folder) }
    }

    private static func plan(_ context: ServiceContext) throws -> WorkerPlan {
        let settings = context.settings
        let keys: ProjectKeys
        do {
            keys = try ProjectKeys.loadOrMake(
                directory: context.dataDirectory.keys, production: context.mode == .production, now: WallTime.now.seconds)
        } catch {
            throw StartFailure(.configuration, "The project's keys cannot be read: \(error)")
        }
        let engine = settings[\.data.engine]
        let environment = WorkerEnvironment(
            url: settings[\.logic.edgeURL] ?? "http://127.0.0.1:\(settings[\.edge.port])", anonKey: keys.anon,
            serviceRoleKey: keys.serviceRole, jwks: keys.jwks.text, databaseURL: engine.contains("://") ? engine : nil)
        return WorkerPlan(
            project: context.project, environment: environment, deno: settings[\.logic.deno],
            searchPath: ProcessEnvironment.variables["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
            denoFolder: "\(context.dataDirectory.path)/deno", traces: FunctionTraces.variables(settings))
    }

    /// As long as the path of a worker's socket below the folder gets.
    private static let longName = "/w1000000000"

    /// In the data directory; where its path is too long for sockets, in the system's folder for such things.
    private static func socketFolder(_ directory: DataDirectory) throws -> String {
        let folder = "\(directory.run)/functions"
        do {
            guard NetworkText.isSocketPath(folder + longName) else {
                return try PosixFile.makeTemporaryFolder("/tmp/martlet-functions-")
            }
            try PosixFile.makeFolder(folder, mode: 0o700)
            return folder
        } catch {
            throw StartFailure(.cannotCreate, "The folder for sockets of functions cannot be made: \(error)")
        }
    }
}

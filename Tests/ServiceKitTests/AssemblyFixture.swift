// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletBus
import MartletJSON
import MartletWire
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

@testable import MartletServiceKit

/// What the services of a test did, found by the path of their data directory.
final class Stage: Sendable {
    private static let stages = Mutex<[String: Stage]>([:])
    private let record = Mutex<[String]>([])
    private let bus = Mutex<Bus?>(nil)
    private let begun: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    init(_ path: String) {
        begun = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        Self.stages.withLock { $0[path] = self }
    }

    static func of(_ context: ServiceContext) -> Stage? { stages.withLock { $0[context.dataDirectory.path] } }

    var events: [String] { record.withLock { $0 } }
    func note(_ event: String) { record.withLock { $0.append(event) } }

    func setCallingBus(_ bus: Bus?) { self.bus.withLock { $0 = bus } }
    func callingBus() throws -> Bus { try #require(bus.withLock { $0 }) }

    func handlerBegins() { begun.continuation.yield() }
    func handlerHasBegun() async { for await _ in begun.stream { return } }
}

/// A project and a data directory in which assemblies run until the test has seen enough.
struct AssemblyFixture {
    private let folder: Folder
    private let settings: Settings
    private let output: Output
    let stage: Stage

    private final class Output: Sendable {
        let text = Mutex("")
    }

    init(instance: String = "test", adminPort: String = "0", drainTimeout: String = "10s") throws {
        folder = try Folder()
        var environment = [
            "MARTLET_ENV": "development", "MARTLET_PROJECT": folder.path, "MARTLET_DATA_DIR": folder.path + "/state",
            "MARTLET_TRANSPORT": "ipc", "MARTLET_INSTANCE": instance, "MARTLET_DRAIN_TIMEOUT": drainTimeout,
        ]
        for name in ["EDGE", "AUTH", "DATA", "LOGIC", "NOTIFICATION"] {
            environment["MARTLET_\(name)_ADMIN_PORT"] = adminPort
        }
        settings = try SettingsResolver(flags: CommandLineFlags([]), environment: environment)
            .resolve(for: [.data])
        stage = Stage(folder.path + "/state")
        output = Output()
    }

    var path: String { folder.path }

    /// Everything that was logged.
    var lines: String { output.text.withLock { $0 } }

    func assembly(_ services: [any MartletService.Type], topology: Assembly.Topology = .oneProcess) -> Assembly {
        let output = output
        let sink = LogSink { line in output.text.withLock { $0 += String(decoding: line, as: UTF8.self) } }
        return Assembly(
            services: services, settings: settings, topology: topology, sink: sink, handlesSignals: false)
    }

    private struct Running: Service {
        let assembly: Assembly
        let ready: AsyncStream<[ServiceName: JSONObject]>.Continuation
        func run() async throws { try await assembly.run { ready.yield($0) } }
    }

    /// Runs them, lends what they listen on once all are ready, then stops them gracefully and waits for the end.
    func run(
        _ assemblies: [Assembly], _ body: @Sendable @escaping ([ServiceName: JSONObject]) async throws -> Void
    ) async throws {
        let (stream, continuation) = AsyncStream.makeStream(
            of: [ServiceName: JSONObject].self, bufferingPolicy: .bufferingNewest(8))
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let services = assemblies.map { Running(assembly: $0, ready: continuation) }
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0, successTerminationBehavior: .ignore) }, logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { continuation.finish() }
                try await group.run()
            }
            var listeners: [ServiceName: JSONObject] = [:]
            var left = assemblies.count
            for await found in stream {
                listeners.merge(found) { $1 }
                left -= 1
                if left == 0 { break }
            }
            // Somebody has failed before all were ready: its error says more than what the test would miss.
            if left > 0 { try await tasks.waitForAll() }
            do { try await body(listeners) } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }
}

/// The edge of these tests: lends its bus.
struct CallingService: MartletService {
    static let name = ServiceName.edge
    let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    func run() async throws {
        Stage.of(context)?.setCallingBus(context.bus)
        context.readiness.set(.ready)
        try await gracefulShutdown()
        Stage.of(context)?.note("edge stopped")
        Stage.of(context)?.setCallingBus(nil)
    }
}

/// Repeats payloads; `http.write` only once the service was told to stop.
final class AnsweringService: MartletService {
    static let name = ServiceName.data
    private let context: ServiceContext
    private let stopping = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(_ context: ServiceContext) {
        self.context = context
        let stopping = stopping.stream
        context.bus.handle(MethodRegistry.httpRead) { OutboundReply(payload: $0.payload) }
        context.bus.handle(MethodRegistry.httpWrite) { request in
            Stage.of(context)?.handlerBegins()
            for await _ in stopping { break }
            return OutboundReply(payload: request.payload)
        }
    }

    func run() async throws {
        context.readiness.set(.ready)
        try await gracefulShutdown()
        Stage.of(context)?.note("data stopped")
        stopping.continuation.yield()
    }

    func close() async { Stage.of(context)?.note("data closed") }
}

/// Throws or returns from `run`, as the instance's name says.
struct FailingService: MartletService {
    static let name = ServiceName.logic
    let context: ServiceContext

    struct Broken: Error {}

    init(_ context: ServiceContext) { self.context = context }

    func run() async throws {
        context.readiness.set(.ready)
        if context.instance == "throws" { throw Broken() }
    }
}

/// Does not listen to a graceful stop, only to cancellation.
struct StubbornService: MartletService {
    static let name = ServiceName.logic
    let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    func run() async throws {
        context.readiness.set(.ready)
        let never = AsyncStream<Void> { _ in }
        for await _ in never {}
        Stage.of(context)?.note("cancelled")
        try Task.checkCancellation()
    }

    func close() async { Stage.of(context)?.note("closed") }
}

protocol FixedName { static var name: ServiceName { get } }
enum AuthName: FixedName { static let name = ServiceName.auth }
enum LogicName: FixedName { static let name = ServiceName.logic }
enum NotificationName: FixedName { static let name = ServiceName.notification }

/// Is ready and does nothing.
struct Quiet<Name: FixedName>: MartletService {
    static var name: ServiceName { Name.name }
    let context: ServiceContext

    init(_ context: ServiceContext) { self.context = context }

    func run() async throws {
        context.readiness.set(.ready)
        try await gracefulShutdown()
    }
}

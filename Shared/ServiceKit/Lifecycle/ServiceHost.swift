// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletBus
internal import MartletWire
internal import ServiceLifecycle
internal import Synchronization

/// Runs one service and its bus node, and ends them in the order that loses nothing.
///
/// On graceful shutdown: `/readyz` says draining; the service finishes what it began by itself and returns; the bus
/// drains (callers look elsewhere, running handlers finish); the service closes what its handlers used.
struct ServiceHost: Service {
    let service: any MartletService
    let context: ServiceContext
    /// Nil within one process, where there are no keys.
    let watcher: (watcher: AllowListWatcher, first: AllowList)?

    /// Whether it was cancelled instead of ending by itself.
    let wasCancelled = Flag()

    private enum Ended: Sendable { case service, bus, watcher, announcement }

    func run() async throws {
        let readiness = context.readiness
        let logger = context.logger
        do {
            try await withGracefulShutdownHandler {
                try await runParts()
            } onGracefulShutdown: {
                readiness.beginDraining()
                logger.info("Draining.")
            }
        } catch {
            readiness.beginDraining()
            await service.close()
            context.listeners.removeAll()
            if error is CancellationError {
                wasCancelled.raise()
                logger.warning("Cancelled.")
            } else {
                logger.critical("The service has failed.", metadata: ["error.detail": "\(Self.text(of: error))"])
            }
            throw error
        }
        await service.close()
        context.listeners.removeAll()
        logger.info("Stopped.")
    }

    private func runParts() async throws {
        let (bus, service, context, watcher) = (context.bus, service, context, watcher)
        try await withThrowingTaskGroup(of: Ended.self) { group in
            group.addTask {
                try await bus.run()
                return .bus
            }
            group.addTask {
                try await service.run()
                return .service
            }
            group.addTask {
                try? await context.readiness.waitUntilReady()
                if context.readiness.status == .ready { context.logger.info("Ready.") }
                return .announcement
            }
            if let watcher {
                group.addTask {
                    await watcher.watcher.run(startingWith: watcher.first)
                    return .watcher
                }
            }
            defer { group.cancelAll() }
            for try await ended in group {
                switch ended {
                case .announcement, .watcher: continue
                case .service:
                    guard Task.isShuttingDownGracefully else {
                        throw StartFailure(.internalError, "The \(context.name.rawValue) service ended by itself.")
                    }
                    bus.beginDraining()
                case .bus: return
                }
            }
        }
    }

    /// The words of an error for operators.
    static func text(of error: any Error) -> String {
        (error as? BusError).map { "\($0.code): \($0.message)" } ?? "\(error)"
    }
}

/// A fact that becomes true once.
final class Flag: Sendable {
    private let isRaised = Atomic<Bool>(false)

    var value: Bool { isRaised.load(ordering: .acquiring) }
    func raise() { isRaised.store(true, ordering: .releasing) }
}

// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletServiceKit
internal import NIOCore
internal import Synchronization

/// One worker for each function that is called: started on demand, kept, replaced when it ends or its sources change.
final class FunctionWorkers: Sendable {
    private struct Slot {
        var current: Worker?
        /// Workers in a row that ended without an answer.
        var failures = 0
        /// Of the files; nil until somebody has looked.
        var signature: UInt64?
        var checkedAt: ContinuousClock.Instant?
    }

    private struct State {
        var slots: [String: Slot] = [:]
        var started = 0
    }

    private let plan: WorkerPlan
    private let folder: String
    private let keeper: WorkerKeeper
    private let group: any EventLoopGroup
    private let logger: Logger
    private let starts: Counter
    private let state = Mutex(State())

    /// `folder` is for the sockets; what an earlier process left there is ended and removed.
    init(
        plan: WorkerPlan, folder: String, group: any EventLoopGroup, logger: Logger, metrics: MetricsRegistry
    ) {
        self.plan = plan
        self.folder = folder
        self.group = group
        self.logger = logger
        keeper = WorkerKeeper()
        starts = metrics.counter("martlet_logic_worker_starts_total", "Workers of functions that were started.")
    }

    /// Ends what an earlier process of this service left behind; it may have been killed itself.
    func clear() async {
        let folder = folder
        guard PosixFile.isFolder(folder) else { return }
        await keeper.perform {
            ProcessTable.killStrays(below: folder)
            for name in PosixFile.names(in: folder) { try? PosixFile.remove("\(folder)/\(name)") }
        }
    }

    func answer(
        _ entry: FunctionEntry, _ request: FunctionRequest, deadline: ContinuousClock.Instant
    ) async throws(FunctionFailure) -> FunctionResponse {
        let worker = try await worker(for: entry)
        var hasAnswered = false
        defer {
            worker.finish(hasAnswered: hasAnswered)
            keeper.wake()
        }
        keeper.wake()
        try await worker.becomesReady(until: deadline)
        let begin = ContinuousClock.now
        do throws(ExchangeFailure) {
            let response = try await exchange(request, with: worker, entry, deadline)
            hasAnswered = true
            return response
        } catch {
            var failure = FunctionCalls.failure(error)
            switch error.reason {
            case .closed, .refused:
                // It may live on without listening.
                if error.reason == .refused { worker.retire() }
                keeper.wake()
                let cause = await worker.cause(within: Self.endMax)
                failure.code = cause?.code ?? .workerError
                if let detail = cause?.detail { failure.detail = detail }
            case .timedOut where ContinuousClock.now - begin >= min(entry.idleTimeout, entry.totalTimeout):
                // It may hang for good: what comes next gets another one.
                worker.retire()
            case .timedOut, .full, .answerTooLarge, .cancelled: break
            }
            throw failure
        }
    }

    /// Ends all workers, those with requests in hand too; nobody calls any more.
    func close() async { await keeper.end() }

    /// How long the end of a worker may take to show after that of its connections.
    private static let endMax = Duration.milliseconds(500)
    /// A socket is there a moment before its server takes connections.
    private static let listenMax = Duration.seconds(1)
    private static let listenInterval = Duration.milliseconds(5)
    /// Between looks at a worker that has as many connections waiting as its server allows.
    private static let fullInterval = Duration.milliseconds(20)

    private func exchange(
        _ request: FunctionRequest, with worker: Worker, _ entry: FunctionEntry, _ deadline: ContinuousClock.Instant
    ) async throws(ExchangeFailure) -> FunctionResponse {
        let listens = min(deadline, .now + Self.listenMax)
        let takes = min(deadline, .now + entry.idleTimeout)
        while true {
            do throws(ExchangeFailure) {
                return try await worker.connections.exchange(
                    request, idleTimeout: entry.idleTimeout, deadline: deadline)
            } catch {
                let isFull = error.reason == .full
                guard error.reason == .refused && .now < listens || isFull && .now < takes, !worker.hasEnded,
                    !Task.isCancelled
                else { throw error }
                try? await Task.sleep(for: isFull ? Self.fullInterval : Self.listenInterval)
            }
        }
    }

    /// A worker that was begun for the caller.
    private func worker(for entry: FunctionEntry) async throws(FunctionFailure) -> Worker {
        let now = ContinuousClock.now
        let isDue = state.withLock { state in
            // Calls that come together with the first look for themselves: a worker of unknown files would be replaced
            // as soon as they are known.
            if let slot = state.slots[entry.name], slot.signature != nil, let last = slot.checkedAt,
                now - last < FunctionLimits.sourceCheckInterval
            {
                return false
            }
            state.slots[entry.name, default: Slot()].checkedAt = now
            return true
        }
        if isDue {
            let paths = plan.sources(of: entry)
            let signature = await keeper.perform {
                FolderReader.signature(of: paths, filesMax: FunctionLimits.sourceFilesMax)
            }
            state.withLock { $0.slots[entry.name, default: Slot()].signature = signature }
        }
        if let worker = begun(entry) { return worker }
        let plan = plan
        let socket = state.withLock { state in
            state.started += 1
            return "\(folder)/w\(state.started)"
        }
        let planned: Result<ProcessCommand, WorkerPlan.Failure> = await keeper.perform {
            do throws(WorkerPlan.Failure) {
                return .success(try plan.command(for: entry, socket: socket))
            } catch {
                return .failure(error)
            }
        }
        let command: ProcessCommand
        do throws(WorkerPlan.Failure) { command = try planned.get() } catch {
            throw FunctionFailure(code: .bootError, wasDelivered: false, detail: error.reason)
        }
        return start(entry, command, socket)
    }

    /// The worker that there is, if it is of use.
    private func begun(_ entry: FunctionEntry) -> Worker? {
        state.withLock { state in
            guard let slot = state.slots[entry.name], let worker = slot.current, worker.signature == slot.signature,
                worker.begin()
            else { return nil }
            return worker
        }
    }

    private func start(_ entry: FunctionEntry, _ command: ProcessCommand, _ socket: String) -> Worker {
        let (worker, isNew): (Worker, Bool) = state.withLock { state in
            var slot = state.slots[entry.name] ?? Slot()
            if let other = slot.current, other.signature == slot.signature, other.begin() {
                // Another call was quicker.
                return (other, false)
            }
            var delay = Duration.zero
            if let last = slot.current {
                last.retire()
                if last.signature != slot.signature || !last.hasEnded {
                    slot.failures = 0
                } else {
                    slot.failures = last.hasAnswered ? 1 : slot.failures + 1
                    delay = Self.delay(afterFailures: slot.failures)
                }
            }
            let worker = Worker(
                entry, command: command, socket: socket, signature: slot.signature, start: .now + delay,
                group: group, logger: logger)
            _ = worker.begin()
            slot.current = worker
            state.slots[entry.name] = slot
            return (worker, true)
        }
        if isNew {
            starts.increment()
            keeper.keep(worker)
        }
        return worker
    }

    /// The first end may be an accident.
    static func delay(afterFailures count: Int) -> Duration {
        guard count > 1 else { return .zero }
        // Beyond eight doublings it is the largest one anyway.
        return min(FunctionLimits.restartDelayMin * (1 << min(count - 2, 8)), FunctionLimits.restartDelayMax)
    }
}

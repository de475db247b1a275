// SPDX-License-Identifier: Apache-2.0

import CProcess
import Glibc
import Logging
import MartletDatabase
import MartletServiceKit
import Synchronization

/// A private PostgreSQL server that this process starts, watches and stops (D24b): an application needs no server of its
/// own to use PostgreSQL.
///
/// It dies with the thread that started it, by SIGINT, so that it closes its files well even when this process is killed.
/// The next start waits for that.
final class ManagedPostgres: Sendable {
    private enum Phase: Equatable {
        case starting
        case running
        case failed(StartFailure)
        case ended
    }

    private struct State {
        var phase = Phase.starting
        var isStopping = false
    }

    /// The right to the folder, for as long as this lives.
    private final class FolderLock: Sendable {
        private let lock: FileLock
        init(_ lock: consuming FileLock) { self.lock = lock }
    }

    let url: String
    var folder: String { cluster.folder }
    var logins: PostgresLogins {
        PostgresLogins(requests: cluster.url(as: "authenticator"), owner: cluster.url(as: "postgres"))
    }
    /// Whether there is a cluster before the start.
    var exists: Bool { PosixFile.exists(cluster.data) }
    private let cluster: ManagedCluster
    private let logger: Logger
    private let state = Mutex(State())
    /// Wakes the thread.
    private let wake: Int32
    private let thread = Mutex<WorkerThread?>(nil)
    private let lock: FolderLock

    /// How long the server gets for a fast shutdown, and then for an immediate one, which leaves it to recover.
    private static let fastMax = Duration.seconds(20)
    private static let immediateMax = Duration.seconds(5)
    private static let startInterval = Duration.milliseconds(20)
    /// Delay of a restart; it doubles with each further one.
    private static let delayMin = Duration.milliseconds(100)
    private static let delayMax = Duration.seconds(5)
    /// A server that lived so long begins again with the shortest delay.
    private static let soundLife = Duration.seconds(30)
    /// Ends in a row without ever having been ready, after which the start has failed.
    private static let firstStartsMax = 5

    init(_ cluster: ManagedCluster, logger: Logger) throws(StartFailure) {
        do {
            try PosixFile.makeFolder(cluster.folder, mode: 0o700)
            lock = FolderLock(try FileLock(path: cluster.folder + "/lock"))
        } catch let held as FileLock.Held {
            throw StartFailure(
                .alreadyRunning, "Another data service, process \(held.process), runs the PostgreSQL in \(cluster.folder).")
        } catch {
            throw StartFailure(.cannotCreate, "The folder of the database cannot be used: \(error)")
        }
        self.cluster = cluster
        self.logger = logger
        url = cluster.url
        wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wake >= 0 else { throw StartFailure(.unavailable, "eventfd: \(PosixFile.text(of: errno))") }
    }

    deinit { Glibc.close(wake) }

    /// Returns when the server takes connections; it may have to recover first.
    ///
    /// - Throws: `StartFailure`; `CancellationError`, after which it has to be closed all the same.
    func start() async throws {
        let started = WorkerThread { [self] in run() }
        thread.withLock { $0 = started }
        while true {
            switch state.withLock({ $0.phase }) {
            case .running: return
            case .failed(let failure): throw failure
            case .ended: throw CancellationError()
            case .starting: try await Task.sleep(for: Self.startInterval)
            }
        }
    }

    /// Stops the server: fast first, at once if that takes too long. Nobody may be connected any more.
    func close() async {
        state.withLock { $0.isStopping = true }
        eventfd_write(wake, 1)
        await thread.withLock { $0 }?.wait()
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func set(_ phase: Phase) { state.withLock { $0.phase = phase } }

    // MARK: The thread

    private func run() {
        defer { removeSocketFolder() }
        do throws(StartFailure) { try cluster.prepare() } catch { return set(.failed(error)) }
        var failures = 0
        var hasBeenReady = false
        while !isStopping {
            awaitHolder()
            if isStopping { break }
            let begin = ContinuousClock.now
            let process: ProcessGroup
            do throws(ProcessGroup.Failure) { process = try ProcessGroup.start(cluster.server) } catch {
                return set(.failed(StartFailure(.unavailable, "PostgreSQL cannot be started: \(error.reason)")))
            }
            let (end, wasReady, words) = watch(process)
            process.closePipes()
            if isStopping { break }
            hasBeenReady = hasBeenReady || wasReady
            failures = ContinuousClock.now - begin >= Self.soundLife ? 1 : failures + 1
            if !hasBeenReady, failures >= Self.firstStartsMax {
                return set(
                    .failed(StartFailure(.unavailable, "PostgreSQL does not start: \(end.text)\n\(words)")))
            }
            let delay = min(Self.delayMin * (1 << min(failures - 1, 8)), Self.delayMax)
            logger.error(
                "PostgreSQL has ended and starts again.",
                metadata: ["process.end": "\(end.text)", "restart.delay": "\(DurationText.text(delay))"])
            pause(delay)
        }
        set(.ended)
    }

    /// A server of an earlier process that was killed is about to stop; two may not have one cluster.
    private func awaitHolder() {
        var isTold = false
        while let holder = cluster.holder, !isStopping {
            if !isTold {
                isTold = true
                logger.info("An earlier PostgreSQL is stopping.", metadata: ["process.number": "\(holder)"])
                kill(holder, SIGINT)
            }
            pause(Self.startInterval)
        }
    }

    /// Waits for its end, or ends it when asked to. Also what it wrote last.
    private func watch(_ process: ProcessGroup) -> (ProcessGroup.End, wasReady: Bool, words: String) {
        let descriptor = martlet_pidfd(process.number)
        defer { if descriptor >= 0 { Glibc.close(descriptor) } }
        var lines = OutputLines()
        var last: [String] = []
        var isReady = false
        var stop: (since: ContinuousClock.Instant, step: Int)?
        while true {
            let ended = process.reap()
            for line in read(process, &lines) {
                log(line)
                last = last.suffix(5) + [line]
            }
            if let ended {
                for line in lines.rest(at: .now) { log(line.text) }
                return (ended, isReady, last.joined(separator: "\n"))
            }
            if !isReady, stop == nil, cluster.isReady(process.number) {
                isReady = true
                set(.running)
                logger.info("PostgreSQL takes connections.", metadata: ["process.number": "\(process.number)"])
            }
            if isStopping { stop = goOnStopping(process, stop) }
            var places = [wake, process.output, process.error, descriptor].map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            // With nothing to wait for but a word of the kernel's it sleeps for good.
            let milliseconds: Int32 = stop != nil || !isReady || descriptor < 0 ? 20 : -1
            poll(&places, nfds_t(places.count), milliseconds)
            var count: eventfd_t = 0
            eventfd_read(wake, &count)
            // A pipe whose other ends are closed is always ready.
            if places[1...2].contains(where: { $0.revents & Int16(POLLHUP) != 0 }) { usleep(5_000) }
        }
    }

    private func goOnStopping(
        _ process: ProcessGroup, _ stop: (since: ContinuousClock.Instant, step: Int)?
    ) -> (since: ContinuousClock.Instant, step: Int) {
        // To the server alone, which tells its processes.
        guard let stop else {
            kill(process.number, SIGINT)
            return (.now, 0)
        }
        let passed = ContinuousClock.now - stop.since
        if stop.step == 0, passed > Self.fastMax {
            logger.warning("PostgreSQL stops slowly and is made to; it recovers at the next start.")
            kill(process.number, SIGQUIT)
            return (.now, 1)
        }
        if stop.step == 1, passed > Self.immediateMax {
            process.signal(SIGKILL)
            return (.now, 2)
        }
        return stop
    }

    private func read(_ process: ProcessGroup, _ lines: inout OutputLines) -> [String] {
        var bytes: [UInt8] = []
        ManagedProcess.take(process.error, into: &bytes)
        ManagedProcess.take(process.output, into: &bytes)
        let taken = lines.take(bytes, at: .now).map(\.text)
        let dropped = lines.takeDropped()
        if dropped > 0 {
            logger.warning("Lines of PostgreSQL were dropped.", metadata: ["postgres.lines": "\(dropped)"])
        }
        return taken
    }

    /// What the server says, at its own level: `LOG`, `WARNING`, `ERROR`, `FATAL`, `PANIC`.
    private func log(_ line: String) {
        let word = line.prefix { $0 != ":" }
        let level: Logger.Level =
            switch word {
            case "PANIC": .critical
            case "WARNING", "FATAL": .warning
            // An error is what a request did wrong, and its answer says so.
            default: .debug
            }
        logger.log(level: level, "PostgreSQL says something.", metadata: ["postgres.line": "\(line)"])
    }

    private func pause(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        var place = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
        poll(&place, 1, Int32(seconds * 1_000 + attoseconds / 1_000_000_000_000_000))
    }

    /// Removes the cluster; for one that was made for nothing. It must be closed.
    func remove() {
        for name in ManagedCluster.ownNames { try? PosixFile.removeTree("\(cluster.folder)/\(name)") }
        rmdir(cluster.folder)
    }

    private func removeSocketFolder() {
        if cluster.socketFolder != cluster.folder { try? PosixFile.removeTree(cluster.socketFolder) }
    }
}

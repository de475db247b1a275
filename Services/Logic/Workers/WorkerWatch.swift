// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// Decides whether a worker has used more than it may. Fed by the keeper, does no I/O.
///
/// Processor time is counted from the last answer on: each request in hand may take `cpuTime`. Without requests it may
/// take as much in each `window`.
struct WorkerWatch: Sendable {
    typealias Instant = ContinuousClock.Instant

    enum Excess: Sendable, Equatable {
        case cpu, memory, processes

        var text: String {
            switch self {
            case .cpu: "processor time"
            case .memory: "memory"
            case .processes: "number of processes"
            }
        }
    }

    static let window = Duration.seconds(10)
    /// So many threads count as one process.
    private static let threadsPerProcess = 16

    let cpuTime: Duration
    let memoryBytesMax: Int
    let processesMax: Int
    private var mark: (cpu: Duration, at: Instant)?

    init(cpuTime: Duration, memoryBytesMax: Int, processesMax: Int) {
        self.cpuTime = cpuTime
        self.memoryBytesMax = memoryBytesMax
        self.processesMax = processesMax
    }

    /// `hasMoved`: whether a request came or was answered since the last time.
    mutating func check(
        _ usage: ProcessTable.Usage, inHand: Int, hasMoved: Bool, at now: Instant
    ) -> Excess? {
        if usage.memoryBytes > memoryBytesMax { return .memory }
        // A server may have a thread for each request in hand.
        if usage.processes > processesMax || usage.threads / Self.threadsPerProcess > processesMax { return .processes }
        guard let mark, !hasMoved else {
            self.mark = (usage.cpu, now)
            return nil
        }
        // Processes of a group that ended take their time with them.
        if usage.cpu - mark.cpu > cpuTime * max(inHand, 1) { return .cpu }
        if inHand == 0, now - mark.at >= Self.window { self.mark = (usage.cpu, now) }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletBus
import MartletSQL
import MartletWire

/// Tells subscribers where the log stands: after commits and once a second. It may be lost; the log is what counts.
struct Doorbell: Sendable {
    /// The topic of the stream `rows`.
    static let topic = Array("log/rows".utf8)
    /// Pause after a ring, so that many commits share one.
    private static let coalescing = Duration.milliseconds(2)
    /// The beat, by which a subscriber that missed a ring hears of it.
    private static let beat = Duration.seconds(1)

    let log: any LogStore
    let bus: Bus

    /// Rings until its task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in log.signal.stream {
                    await ring()
                    try? await Task.sleep(for: Self.coalescing)
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    await ring()
                    try? await Task.sleep(for: Self.beat)
                }
            }
        }
    }

    private func ring() async {
        // A database that is away has nothing new; the next beat asks again.
        guard let head = try? await log.head(LogStream.rows) else { return }
        bus.publish(
            Self.topic,
            EventHeader(
                id: "\(head.epoch)-\(head.head)", source: "data", type: "martlet.log.head",
                timeMicroseconds: MartletFunctions.now(), stream: LogStream.rows,
                epoch: UInt64(max(0, head.epoch)), sequence: UInt64(max(0, head.head))))
    }
}

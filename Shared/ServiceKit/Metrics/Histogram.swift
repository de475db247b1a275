// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Durations or sizes, counted by fixed upper bounds.
package final class Histogram: Sendable {
    struct Snapshot: Sendable, Equatable {
        /// One for each bound and one for what is larger; not cumulative.
        var counts: [UInt64]
        var sum: Double
        var count: UInt64 { counts.reduce(0, +) }
    }

    /// Upper bounds of the buckets, growing, in the metric's unit.
    package let bounds: [Double]
    private let state: Mutex<Snapshot>

    init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "The bounds of a histogram grow.")
        self.bounds = bounds
        state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
    }

    /// A value in the metric's unit.
    package func observe(_ value: Double) {
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    /// A duration, for a metric in seconds.
    package func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        observe(Double(seconds) + Double(attoseconds) * 1e-18)
    }

    var snapshot: Snapshot { state.withLock { $0 } }

    /// From half a millisecond to ten seconds: what a request can take.
    package static let requestSeconds: [Double] = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]
}

// SPDX-License-Identifier: Apache-2.0

/// A point of the monotonic clock, in nanoseconds. The protocol machines know no other time, so that the simulator can
/// drive them on virtual time.
struct BusTime: Comparable, Hashable, Sendable {
    var nanoseconds: Int64

    /// Later than everything that happens.
    static let never = BusTime(nanoseconds: .max)

    static func < (left: BusTime, right: BusTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The point `duration` later; saturates.
    static func + (time: BusTime, duration: Duration) -> BusTime {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(duration.nanosecondsClamped)
        return BusTime(nanoseconds: overflow ? .max : sum)
    }

    /// The time from `earlier` to `later`.
    static func - (later: BusTime, earlier: BusTime) -> Duration {
        .nanoseconds(later.nanoseconds - earlier.nanoseconds)
    }

    /// What is left from here to `deadline`, in whole microseconds; 0 when it has passed.
    func microseconds(until deadline: BusTime) -> UInt64 {
        deadline <= self ? 0 : UInt64((deadline.nanoseconds - nanoseconds) / 1_000)
    }
}

extension Duration {
    /// The whole duration in nanoseconds, at most 292 years either way.
    var nanosecondsClamped: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, overflowed) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflowed ? (seconds < 0 ? .min : .max) : sum
    }
}

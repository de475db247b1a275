// SPDX-License-Identifier: Apache-2.0

/// A point of the monotonic clock, in nanoseconds. The protocol machines know no other time, so that the simulator can
/// drive them on virtual time.
struct BusTime: Comparable, Hashable, Sendable {
    var nanoseconds: Int64

    /// Later than everything that happens.
    static let never = BusTime(nanoseconds: .max)

    static func < (left: BusTime, right: BusTime) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The point `span` later; saturates.
    static func + (time: BusTime, span: BusSpan) -> BusTime {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(span.nanoseconds)
        return BusTime(nanoseconds: overflow ? .max : sum)
    }

    /// The time from `earlier` to `later`.
    static func - (later: BusTime, earlier: BusTime) -> BusSpan {
        BusSpan(nanoseconds: later.nanoseconds - earlier.nanoseconds)
    }

    /// What is left from here to `deadline`, in whole microseconds; 0 when it has passed.
    func microseconds(until deadline: BusTime) -> UInt64 {
        deadline <= self ? 0 : UInt64((deadline.nanoseconds - nanoseconds) / 1_000)
    }
}

/// A length of time in nanoseconds. `Duration` counts attoseconds in 128 bits, and dividing those costs more than the
/// rest of a step of the protocol.
package struct BusSpan: Comparable, Hashable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package init(_ duration: Duration) { nanoseconds = duration.nanosecondsClamped }

    package static func microseconds(_ count: Int64) -> BusSpan { BusSpan(nanoseconds: count * 1_000) }
    package static func milliseconds(_ count: Int64) -> BusSpan { BusSpan(nanoseconds: count * 1_000_000) }
    package static func seconds(_ count: Int64) -> BusSpan { BusSpan(nanoseconds: count * 1_000_000_000) }

    package static func < (left: BusSpan, right: BusSpan) -> Bool { left.nanoseconds < right.nanoseconds }
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

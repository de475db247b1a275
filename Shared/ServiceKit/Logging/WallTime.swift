// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A moment of the calendar, in UTC, for people and logs; never for measuring.
/// Everything that asks for the second asks here: `time()` answers from the last tick, so for some milliseconds of each
/// second with the one before, and who minted a token just now would be ahead of who checks it.
package struct WallTime: Sendable, Equatable {
    /// Since 1970-01-01 UTC.
    package let seconds: Int64
    package let nanoseconds: Int64

    package init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static var now: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// RFC 3339 with milliseconds: `2026-01-02T03:04:05.678Z`.
    package var text: String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = [
            padded(Int64(parts.tm_year) + 1_900, 4), padded(Int64(parts.tm_mon) + 1, 2),
            padded(Int64(parts.tm_mday), 2),
        ].joined(separator: "-")
        let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int64($0), 2) }.joined(separator: ":")
        return "\(date)T\(clock).\(padded(nanoseconds / 1_000_000, 3))Z"
    }
}

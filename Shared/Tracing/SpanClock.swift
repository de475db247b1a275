// SPDX-License-Identifier: Apache-2.0

internal import Glibc

enum SpanClock {
    /// Nanoseconds since 1970.
    static var wall: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

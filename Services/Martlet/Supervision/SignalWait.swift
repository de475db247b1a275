// SPDX-License-Identifier: Apache-2.0

internal import CProcess
internal import Glibc

/// Takes signals one by one, as the answers of a call. The process must have one thread: another one would die of them.
struct SignalWait {
    private var set = sigset_t()

    /// Blocks them, so that from here on none is lost and none ends the process.
    init(_ signals: [Int32]) {
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        sigprocmask(SIG_BLOCK, &set, nil)
    }

    /// The next signal; nil after `timeout`.
    mutating func next(within timeout: Duration) -> Int32? {
        let parts = max(timeout, .zero).components
        var limit = timespec(
            tv_sec: Int(min(parts.seconds, 3_600)), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
        let signal = sigtimedwait(&set, nil, &limit)
        return signal > 0 ? signal : nil
    }
}

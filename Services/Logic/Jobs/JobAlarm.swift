// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// When the runner wakes for the next due job. A later time than the one that is set needs no alarm of its own: who is
/// woken looks again.
final class JobAlarm: Sendable {
    private let time = Mutex<Moment?>(nil)

    /// True if nothing wakes the runner that early yet.
    func set(_ next: Moment) -> Bool {
        time.withLock { time in
            if let time, time <= next { return false }
            time = next
            return true
        }
    }

    func rang(_ which: Moment) {
        time.withLock { if $0 == which { $0 = nil } }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Counts what happened within the last seconds, second by second.
struct RateWindow {
    private var counts: [Int]
    /// The second that the newest count is of.
    private var newest: Int64 = .min
    private(set) var total = 0

    init(seconds: Int) { counts = Array(repeating: 0, count: max(1, seconds)) }

    /// Notes one more and returns how many there were in the window, this one included.
    mutating func note(second: Int64) -> Int {
        advance(to: second)
        counts[place(of: newest)] += 1
        total += 1
        return total
    }

    private mutating func advance(to second: Int64) {
        // A clock that went back counts into the newest second.
        guard second > newest else { return }
        if newest == .min || second - newest >= Int64(counts.count) {
            for index in counts.indices { counts[index] = 0 }
            total = 0
        } else {
            var passed = newest + 1
            while passed <= second {
                total -= counts[place(of: passed)]
                counts[place(of: passed)] = 0
                passed += 1
            }
        }
        newest = second
    }

    private func place(of second: Int64) -> Int {
        let size = Int64(counts.count)
        return Int((second % size + size) % size)
    }
}

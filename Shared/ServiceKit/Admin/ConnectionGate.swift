// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Counts what is open and refuses one more than its bound.
final class ConnectionGate: Sendable {
    private let max: Int
    private let open = Atomic<Int>(0)

    init(max: Int) { self.max = max }

    /// Whether there is room; then somebody has to `leave`.
    func enter() -> Bool {
        if open.wrappingAdd(1, ordering: .relaxed).newValue <= max { return true }
        leave()
        return false
    }

    func leave() { open.wrappingSubtract(1, ordering: .relaxed) }
}

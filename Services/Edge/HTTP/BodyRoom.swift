// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The room that the bodies of all connections share, so that many large ones cannot take all memory.
final class BodyRoom: Sendable {
    private let used = Atomic<Int>(0)
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Takes room for `bytes` more; false, and nothing taken, when there is not enough.
    func take(_ bytes: Int) -> Bool {
        guard used.wrappingAdd(bytes, ordering: .relaxed).newValue <= bytesMax else {
            giveBack(bytes)
            return false
        }
        return true
    }

    func giveBack(_ bytes: Int) { used.wrappingSubtract(bytes, ordering: .relaxed) }
}

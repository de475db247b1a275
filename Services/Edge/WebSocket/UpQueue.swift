// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOCore

/// What waits to be told to notification, in the order in which it happened.
struct UpQueue {
    /// Items and bytes of one batch; one item alone may be larger.
    static let itemsMax = 512
    static let bytesMax = 1 << 20

    /// What is told at once, and what it gives back when it is done.
    struct Batch {
        var items: [Martlet_Wire_V1_SocketUp] = []
        /// By socket, overhead included.
        var cost: [String: Int] = [:]
        var bytes = 0
    }

    private var items = CircularBuffer<(what: Martlet_Wire_V1_SocketUp, socket: String, cost: Int)>()

    var isEmpty: Bool { items.isEmpty }

    /// - Parameter cost: what room was taken for it, in bytes; 0 for none.
    mutating func append(_ what: Martlet_Wire_V1_SocketUp, socket: String, cost: Int) {
        items.append((what, socket, cost))
    }

    mutating func takeBatch() -> Batch? {
        var batch = Batch()
        while let next = items.first, batch.items.count < Self.itemsMax,
            batch.items.isEmpty || batch.bytes + next.cost <= Self.bytesMax
        {
            items.removeFirst()
            batch.items.append(next.what)
            batch.bytes += next.cost
            if next.cost > 0 { batch.cost[next.socket, default: 0] += next.cost }
        }
        return batch.items.isEmpty ? nil : batch
    }

    /// Forgets everything, and says how much room that gives back.
    mutating func removeAll() -> Int {
        let bytes = items.reduce(0) { $0 + $1.cost }
        items = CircularBuffer()
        return bytes
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Requests that wait, first in first out. Appending and taking the first cost nothing; removing another is linear.
struct CallQueue {
    private var items: [CallID] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { count == 0 }
    var first: CallID? { isEmpty ? nil : items[head] }

    mutating func append(_ id: CallID) { items.append(id) }

    mutating func removeFirst() {
        guard !isEmpty else { return }
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256, head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
    }

    mutating func remove(_ id: CallID) {
        for index in head..<items.count where items[index] == id {
            items.remove(at: index)
            return
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What goes to sockets of one edge: a frame, or the end of their connection.
struct Outgoing: Sendable, Equatable {
    enum Content: Sendable, Equatable {
        case text([UInt8])
        case binary([UInt8])
        case close(code: UInt32, reason: String)
    }

    var sockets: [String]
    let content: Content

    /// What it costs to hold: the frame, and a name per socket.
    var bytes: Int {
        let frame =
            switch content {
            case .text(let bytes), .binary(let bytes): bytes.count
            case .close: 16
            }
        return frame + sockets.count * 32
    }
}

/// The answer to one `realtime.receive`.
struct Delivery: Sendable, Equatable {
    var isUnknownSession = false
    var sequence: UInt64 = 0
    var items: [Outgoing] = []

    static let unknownSession = Delivery(isUnknownSession: true)
}

/// One edge's sockets, and what waits for it. Lives and is touched on the hub alone.
final class EdgeSession {
    struct Waiter {
        let continuation: CheckedContinuation<Delivery, Never>
        let until: ContinuousClock.Instant
    }

    let id: String
    var sockets: [String: Socket] = [:]
    /// The number of the last `realtime.send`; nil before the first.
    var upSequence: UInt64?
    var waiter: Waiter?
    var lastAsked: ContinuousClock.Instant
    /// Members that a running fan-out has found, by serializer.
    var found: (one: [String], two: [String]) = ([], [])
    /// Whether something was queued since the waiter was last looked at.
    var isTouched = false

    private var queue: [Outgoing] = []
    private var head = 0
    private(set) var queuedBytes = 0
    private var sequence: UInt64 = 0
    /// The last answer, until the edge says that it has it.
    private var unacknowledged: [Outgoing] = []

    init(id: String, now: ContinuousClock.Instant) {
        self.id = id
        lastAsked = now
    }

    var isEmpty: Bool { head == queue.count }

    func append(_ item: Outgoing) {
        queue.append(item)
        queuedBytes += item.bytes
    }

    /// Forgets the last answer if the edge has it.
    func acknowledge(_ number: UInt64) {
        if number >= sequence { unacknowledged = [] }
    }

    /// The next answer: the last one again if it was lost, else what is queued; nil when there is nothing.
    func next() -> Delivery? {
        if !unacknowledged.isEmpty { return Delivery(sequence: sequence, items: unacknowledged) }
        guard !isEmpty else { return nil }
        var bytes = 0
        let start = head
        while head < queue.count {
            let size = queue[head].bytes
            if head > start, bytes + size > HubLimits.replyBytesMax { break }
            bytes += size
            head += 1
        }
        unacknowledged = Array(queue[start..<head])
        queuedBytes -= bytes
        if isEmpty {
            queue.removeAll(keepingCapacity: queue.count < 1_024)
            head = 0
        } else if head > 1_024 {
            queue.removeFirst(head)
            head = 0
        }
        sequence += 1
        return Delivery(sequence: sequence, items: unacknowledged)
    }

    /// An answer without anything in it.
    var nothing: Delivery { Delivery(sequence: sequence) }
}

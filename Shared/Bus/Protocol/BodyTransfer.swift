// SPDX-License-Identifier: Apache-2.0

/// The sending side of one body: how much may go now (D17).
struct BodySender {
    let total: Int
    private(set) var sent = 0
    private(set) var framesSent = 0
    private var window: Int
    private let chunkBytesMax: Int

    init(total: Int, limits: BusLimits) {
        self.total = total
        window = limits.windowBytesMax
        chunkBytesMax = limits.chunkBytesMax
    }

    var isFinished: Bool { sent == total && framesSent > 0 }

    /// Takes the next piece, or nil when nothing may be sent now. The first piece always goes, also an empty one.
    mutating func next() -> (offset: Int, bytes: Int, isLast: Bool)? {
        guard !isFinished else { return nil }
        let bytes = min(total - sent, chunkBytesMax, window)
        guard bytes > 0 || total == 0 else { return nil }
        let offset = sent
        sent += bytes
        window -= bytes
        framesSent += 1
        return (offset, bytes, sent == total)
    }

    /// The receiver took `bytes` more. Returns false when it never got so many: the peer is at fault.
    mutating func grant(_ bytes: Int, limits: BusLimits) -> Bool {
        guard bytes > 0, bytes <= limits.windowBytesMax, window + bytes <= limits.windowBytesMax else { return false }
        window += bytes
        return true
    }
}

/// The receiving side of one body that is put together in memory.
struct BodyReceiver {
    private(set) var received: Int
    private var ungranted: Int

    /// What a piece means.
    enum Outcome: Equatable {
        /// Keep it; give so much credit, if any.
        case accepted(credit: Int)
        /// More than the window or the limit allows.
        case violation, tooLarge
    }

    init(firstPiece bytes: Int) {
        received = bytes
        ungranted = bytes
    }

    mutating func receive(_ bytes: Int, limits: BusLimits) -> Outcome {
        guard bytes <= limits.chunkBytesMax, ungranted + bytes <= limits.windowBytesMax else { return .violation }
        guard received + bytes <= limits.bodyBytesMax else { return .tooLarge }
        received += bytes
        ungranted += bytes
        return .accepted(credit: takeCredit(limits: limits))
    }

    /// Credit that is due: nothing until a quarter of the window has been taken, so that credits stay few.
    mutating func takeCredit(limits: BusLimits) -> Int {
        guard ungranted >= limits.windowBytesMax / 4 else { return 0 }
        defer { ungranted = 0 }
        return ungranted
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// What the serving machine must know of a REQUEST frame.
struct RequestFacts {
    var methodID: UInt32
    var budgetMicroseconds: UInt64
    /// Payload bytes in this frame.
    var bytes: Int
    /// CHUNK frames follow.
    var hasMore: Bool
}

extension ServerMachine {
    enum Event {
        /// A HELLO that passed the check of its key.
        case hello(PeerID, ServiceName)
        case request(PeerID, UInt64, RequestFacts)
        case chunk(PeerID, UInt64, bytes: Int, isLast: Bool, isAborted: Bool)
        case credit(PeerID, UInt64, bytes: Int)
        case cancel(PeerID, UInt64)
        case ping(PeerID)
        /// A frame that cannot be read, or that only a replica may send.
        case violation(PeerID)
        /// The connection is gone, or its key was revoked.
        case lost(PeerID, LinkLoss)
        /// The handler's answer is there.
        case finished(PeerID, UInt64, bytes: Int)
        case drain
        case tick
    }

    enum Action: Equatable {
        case sendReady(PeerID)
        case sendPong(PeerID, isDraining: Bool, inFlight: Int)
        /// Final: the connection is over now, also for what is in flight. Else: no new requests, please.
        case sendGoAway(PeerID, isFinal: Bool)
        case sendCredit(PeerID, UInt64, bytes: Int)
        /// A small REPLY that the bus answers itself; nothing was executed.
        case refuse(PeerID, UInt64, ErrorCode, retryAfterMilliseconds: UInt32)
        /// The frame at hand holds a piece of the body that is not the last: keep it.
        case keep(PeerID, UInt64)
        /// The frame at hand completes the request: run its handler.
        case start(PeerID, UInt64, Method, ServiceName, deadline: BusTime)
        /// Forget the pieces of a body that will not be completed.
        case forget(PeerID, UInt64)
        /// Cancel the handler's task; its answer still comes.
        case cancelTask(PeerID, UInt64)
        case sendReply(PeerID, UInt64, bytes: Int, hasMore: Bool)
        case sendChunk(PeerID, UInt64, offset: Int, bytes: Int, isLast: Bool)
        case sendAbort(PeerID, UInt64)
        /// The answer was sent, or nobody waits for it any more: let go of it.
        case release(PeerID, UInt64)
        case observe(BusObservation)
    }
}

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
        case request(PeerID, CallID, RequestFacts)
        case chunk(PeerID, CallID, bytes: Int, isLast: Bool, isAborted: Bool)
        case credit(PeerID, CallID, bytes: Int)
        case cancel(PeerID, CallID)
        case ping(PeerID)
        /// A frame that cannot be read, or that only a replica may send.
        case violation(PeerID)
        /// The connection is gone, or its key was revoked.
        case lost(PeerID, LinkLoss)
        /// The handler's answer is there.
        case finished(Request, bytes: Int)
        case drain
        case tick
    }

    enum Action {
        case sendReady(PeerID)
        case sendPong(PeerID, isDraining: Bool, inFlight: Int)
        /// Final: the connection is over now, also for what is in flight. Else: no new requests, please.
        case sendGoAway(PeerID, isFinal: Bool)
        case sendCredit(Request, bytes: Int)
        /// A small REPLY that the bus answers itself; nothing was executed.
        case refuse(PeerID, CallID, ErrorCode, retryAfterMilliseconds: UInt32)
        /// The frame at hand holds a piece of the body that is not the last: keep it.
        case keep(Request)
        /// The frame at hand completes the request: run its handler.
        case start(Request)
        /// Cancel the handler's task; its answer still comes.
        case cancelTask(Request)
        case sendReply(Request, bytes: Int, hasMore: Bool)
        case sendChunk(Request, offset: Int, bytes: Int, isLast: Bool)
        case sendAbort(Request)
        case observe(BusObservation)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// What the caller's machine must know of a request; header and payload stay with whoever performs its actions.
struct CallFacts {
    /// A second execution is harmless: the method is idempotent, or keyed and the request carries a key.
    var isRepeatable: Bool
    /// Bytes of the payload.
    var bytes: Int
    var deadline: BusTime
    /// Chooses the replica of `keyed` methods (D34); nil for methods that any replica may answer.
    var routeKey: UInt64?
}

/// What the caller's machine must know of a REPLY frame.
struct ReplyFacts {
    var code: ErrorCode
    var executed: Executed
    var retryAfterMilliseconds: UInt32
    /// Payload bytes in this frame.
    var bytes: Int
    /// CHUNK frames follow.
    var hasMore: Bool
}

extension TargetMachine {
    enum Event {
        /// The replicas of the target, after name resolution.
        case endpoints([String])
        case submit(CallID, CallFacts)
        /// The caller does not wait any more.
        case cancel(CallID)
        /// The connection stands and both sides are authenticated.
        case connected(LinkID)
        case introduced(LinkID, ReplicaGrant)
        case lost(LinkID, LinkLoss)
        case pong(LinkID, isDraining: Bool)
        case goAway(LinkID)
        case reply(LinkID, CallID, ReplyFacts)
        case chunk(LinkID, CallID, bytes: Int, isLast: Bool, isAborted: Bool)
        case credit(LinkID, CallID, bytes: Int)
        /// A local endpoint that was missing may be there now: connect without waiting for the backoff.
        case retryNow(endpoint: String)
        /// No new requests; what is in flight is finished.
        case close
        case tick
    }

    enum Action: Equatable {
        case open(LinkID, endpoint: String)
        case close(LinkID)
        case sendHello(LinkID)
        case sendPing(LinkID)
        case sendRequest(LinkID, CallID, attempt: UInt8, budgetMicroseconds: UInt64, bytes: Int, hasMore: Bool)
        case sendChunk(LinkID, CallID, offset: Int, bytes: Int, isLast: Bool)
        case sendCredit(LinkID, CallID, bytes: Int)
        case sendCancel(LinkID, CallID)
        /// The frame at hand holds a piece of the reply that is not the last: keep it.
        case keep(CallID)
        /// The frame at hand completes the reply: hand it to the caller.
        case deliver(CallID)
        /// Forget the pieces of a reply that will not be completed.
        case forget(CallID)
        case fail(CallID, ErrorCode, Executed, retryAfterMilliseconds: UInt32)
        case observe(BusObservation)
    }
}

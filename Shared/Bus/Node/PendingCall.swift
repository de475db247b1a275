// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOCore
internal import Synchronization

/// How a request ended.
enum CallOutcome: Sendable {
    case reply(ReplyHeader, ByteBuffer)
    case failure(BusError)
}

/// One request of a caller, from `request` to its outcome.
///
/// `@unchecked`: the constants are Sendable; `continuation`, `replyHeader` and `replyBody` are touched only on the bus
/// thread; `isCancelled` is atomic.
@safe
final class PendingCall: @unchecked Sendable {
    let id: CallID
    let method: Method
    let target: ServiceName
    let header: RequestHeader
    let payload: ByteBuffer
    let routeKey: UInt64
    let begun: BusTime
    let deadline: BusTime
    let isCancelled = Atomic(false)
    var continuation: UnsafeContinuation<CallOutcome, Never>?
    /// Pieces of a chunked reply.
    var replyHeader: ReplyHeader?
    var replyBody = ByteBuffer()

    init(
        id: CallID, method: Method, target: ServiceName, header: RequestHeader, payload: ByteBuffer, routeKey: UInt64,
        begun: BusTime, budget: BusSpan
    ) {
        self.id = id
        self.method = method
        self.target = target
        self.header = header
        self.payload = payload
        self.routeKey = routeKey
        self.begun = begun
        deadline = begun + budget
    }

    func finish(_ outcome: CallOutcome) {
        let waiting = unsafe continuation
        unsafe continuation = nil
        unsafe waiting?.resume(returning: outcome)
    }
}

// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A request as a handler receives it.
package struct InboundRequest: Sendable {
    /// The authenticated peer.
    package var caller: ServiceName
    package var method: Method
    package var header: RequestHeader
    /// The whole payload. Bodies that came as chunks are put together up to the method's limit.
    package var payload: ByteBuffer
    /// When the caller stops waiting.
    package var deadline: ContinuousClock.Instant

    package init(
        caller: ServiceName, method: Method, header: RequestHeader, payload: ByteBuffer,
        deadline: ContinuousClock.Instant
    ) {
        self.caller = caller
        self.method = method
        self.header = header
        self.payload = payload
        self.deadline = deadline
    }
}

/// What a handler answers.
package struct OutboundReply: Sendable {
    package var header: ReplyHeader
    package var payload: ByteBuffer

    package init(header: ReplyHeader = ReplyHeader(), payload: ByteBuffer = ByteBuffer()) {
        self.header = header
        self.payload = payload
    }
}

// SPDX-License-Identifier: Apache-2.0

package import NIOCore
internal import SwiftProtobuf

/// The payload of a method as a message of `Protos/methods.proto`.
///
/// Services read and write it through this protocol, because only this module imports the protobuf library.
package protocol MethodPayload: Sendable {
    /// Reads a payload.
    ///
    /// - Throws: `badHeader` when the bytes are no such message.
    init(payload: ByteBuffer) throws(WireError)

    /// The message's bytes.
    var payload: ByteBuffer { get }
}

extension Martlet_Wire_V1_SystemStatusReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_AuthKeysReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_UsersPutRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_UsersPutReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_UsersDeleteRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_UsersDeleteReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_UsersChangesRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_UsersChangesReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_LogPullRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_LogPullReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_VisibleRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_VisibleReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_FeedDescribeRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_FeedDescribeReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_RealtimeSendRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_RealtimeSendReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_RealtimeReceiveRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_RealtimeReceiveReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_MailSendRequest: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

extension Martlet_Wire_V1_MailSendReply: MethodPayload {
    package init(payload: ByteBuffer) throws(WireError) { self = try decode(payload) }
    package var payload: ByteBuffer { encode(self) }
}

private func decode<Payload: Message>(_ payload: ByteBuffer) throws(WireError) -> Payload {
    do {
        return try Payload(serializedBytes: Array(payload.readableBytesView))
    } catch { throw .badHeader }
}

private func encode(_ message: some Message) -> ByteBuffer {
    // Serialising fails only for required fields, which proto3 does not have, and above 2 GiB.
    let bytes: [UInt8] = (try? message.serializedBytes()) ?? []
    return ByteBuffer(bytes: bytes)
}

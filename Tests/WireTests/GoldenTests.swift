// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SwiftProtobuf
import Testing

@testable import MartletWire

/// The bytes of format version 1, as another implementation wrote them: `Golden/<message>.hex` is what `protoc --encode`
/// made of `Golden/<message>.textproto`. The files are for ever; a new field gets a new file.
@Suite("Golden files")
struct GoldenTests {
    private static let messages: [String: any Message.Type] = [
        "Introduction": Martlet_Wire_V1_Introduction.self,
        "Pong": Martlet_Wire_V1_Pong.self,
        "Credit": Martlet_Wire_V1_Credit.self,
        "RequestHeaderMessage": Martlet_Wire_V1_RequestHeaderMessage.self,
        "PrincipalMessage": Martlet_Wire_V1_PrincipalMessage.self,
        "HttpFieldMessage": Martlet_Wire_V1_HttpFieldMessage.self,
        "HttpRequestHeadMessage": Martlet_Wire_V1_HttpRequestHeadMessage.self,
        "HttpResponseHeadMessage": Martlet_Wire_V1_HttpResponseHeadMessage.self,
        "ReplyHeaderMessage": Martlet_Wire_V1_ReplyHeaderMessage.self,
        "EventHeaderMessage": Martlet_Wire_V1_EventHeaderMessage.self,
        "SystemStatusReply": Martlet_Wire_V1_SystemStatusReply.self,
        "AuthKeysReply": Martlet_Wire_V1_AuthKeysReply.self,
        "ColumnValue": Martlet_Wire_V1_ColumnValue.self,
        "UsersPutRequest": Martlet_Wire_V1_UsersPutRequest.self,
        "UsersPutReply": Martlet_Wire_V1_UsersPutReply.self,
        "Refusal": Martlet_Wire_V1_Refusal.self,
        "UsersDeleteRequest": Martlet_Wire_V1_UsersDeleteRequest.self,
        "UsersDeleteReply": Martlet_Wire_V1_UsersDeleteReply.self,
        "UsersChangesRequest": Martlet_Wire_V1_UsersChangesRequest.self,
        "UserChangeEntry": Martlet_Wire_V1_UserChangeEntry.self,
        "UsersChangesReply": Martlet_Wire_V1_UsersChangesReply.self,
        "LogPullRequest": Martlet_Wire_V1_LogPullRequest.self,
        "LogEntry": Martlet_Wire_V1_LogEntry.self,
        "LogPullReply": Martlet_Wire_V1_LogPullReply.self,
        "ClaimSet": Martlet_Wire_V1_ClaimSet.self,
        "VisibleRequest": Martlet_Wire_V1_VisibleRequest.self,
        "ColumnMask": Martlet_Wire_V1_ColumnMask.self,
        "ChangeVisibility": Martlet_Wire_V1_ChangeVisibility.self,
        "VisibleReply": Martlet_Wire_V1_VisibleReply.self,
        "FeedColumn": Martlet_Wire_V1_FeedColumn.self,
        "FeedTable": Martlet_Wire_V1_FeedTable.self,
        "FeedDescribeRequest": Martlet_Wire_V1_FeedDescribeRequest.self,
        "FeedDescribeReply": Martlet_Wire_V1_FeedDescribeReply.self,
        "SocketOpened": Martlet_Wire_V1_SocketOpened.self,
        "SocketFrame": Martlet_Wire_V1_SocketFrame.self,
        "SocketClosed": Martlet_Wire_V1_SocketClosed.self,
        "SocketUp": Martlet_Wire_V1_SocketUp.self,
        "SocketDown": Martlet_Wire_V1_SocketDown.self,
        "RealtimeSendRequest": Martlet_Wire_V1_RealtimeSendRequest.self,
        "RealtimeSendReply": Martlet_Wire_V1_RealtimeSendReply.self,
        "RealtimeReceiveRequest": Martlet_Wire_V1_RealtimeReceiveRequest.self,
        "RealtimeReceiveReply": Martlet_Wire_V1_RealtimeReceiveReply.self,
        "MailSendRequest": Martlet_Wire_V1_MailSendRequest.self,
        "MailSendReply": Martlet_Wire_V1_MailSendReply.self,
    ]

    @Test("Every message of the schema has its golden file")
    func complete() throws {
        #expect(Set(Self.messages.keys) == Set(try Schema.current().messages))
    }

    @Test("A golden message means what its text says, and is written as it was read", arguments: messages.keys.sorted())
    func message(_ name: String) throws {
        let type = try #require(Self.messages[name])
        func check<M: Message>(_ type: M.Type) throws {
            let golden = try Files.hex("\(name).hex")
            let read = try M(serializedBytes: golden)
            #expect(read.isEqualTo(message: try M(textFormatString: Files.text("\(name).textproto"))))
            let written: [UInt8] = try read.serializedBytes()
            #expect(written == golden)
        }
        try check(type)
    }

    @Test("The hand-written codecs write each golden header and control payload as they read it")
    func handWritten() throws {
        func check(_ name: String, _ rewrite: (ByteBuffer) throws -> ByteBuffer) throws {
            let golden = ByteBuffer(bytes: try Files.hex("\(name).hex"))
            #expect(try rewrite(golden) == golden, "\(name)")
        }
        func encoded(_ body: (inout ByteBuffer) -> Void) -> ByteBuffer {
            var buffer = ByteBuffer()
            body(&buffer)
            return buffer
        }
        try check("RequestHeaderMessage") { golden in
            let header = try RequestHeader(decoding: golden)
            #expect(header.principal.tokenStatus == .invalid)
            #expect(header.http?.query == "select=id&name=eq.Grün")
            return encoded(header.encode)
        }
        try check("ReplyHeaderMessage") { golden in
            let header = try ReplyHeader(decoding: golden)
            #expect(header.code == .idempotencyMismatch && header.executed == .unknown && header.http?.status == 409)
            return encoded(header.encode)
        }
        try check("EventHeaderMessage") { golden in
            let header = try EventHeader(decoding: golden)
            #expect(header.epoch == .max && header.sequence == 42)
            return encoded(header.encode)
        }
        try check("Introduction") { try Introduction(decoding: $0).encoded }
        try check("Pong") { try Pong(decoding: $0).encoded }
        // `requests` is not used by this version.
        #expect(try Credit(decoding: ByteBuffer(bytes: Files.hex("Credit.hex"))) == Credit(bytes: 131_072))
    }

    @Test("The prefix of every kind is read and written as its golden bytes say")
    func prefixes() throws {
        let lines = try Files.text("prefixes.txt").split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.map { String($0[0]) } == FrameKind.allCases.map { "\($0)" })
        for (line, kind) in zip(lines, FrameKind.allCases) {
            let golden = try Files.bytes(ofHex: String(line[1]))
            var buffer = ByteBuffer(bytes: golden + [UInt8](repeating: 0, count: 513))
            let prefix = try Prefix(reading: &buffer)
            let expected = Prefix(
                kind: kind, flags: [.payloadFollows, .moreChunks, .requestBody, .aborted], priority: 2, attempt: 3,
                headerLength: 513, requestID: 0x0102_0304_0506_0708, methodID: 0x0A0B_0C0D,
                budgetMicroseconds: 9_999_999, routeKey: 0xFFEE_DDCC_BBAA_9988)
            #expect(prefix == expected)
            var written = ByteBuffer()
            prefix.write(to: &written)
            #expect(Array(written.readableBytesView) == golden)
        }
    }

    @Test("Nothing that was released is removed, renumbered or changed; additions stand in the snapshot too")
    func compatibility() throws {
        let released = try Files.text("schema.txt").split(separator: "\n").map(String.init)
        let current = try Schema.current().lines
        #expect(
            Set(released).subtracting(current).sorted() == [], "removed or changed: refuse it, or reserve the number")
        #expect(Set(current).subtracting(released).sorted() == [], "new: add these lines to Golden/schema.txt")
        #expect(released == current)
    }

    @Test(
        "The check of compatibility sees a removal, another number, another type and another name",
        arguments: ["", "  string role = 9;", "  bytes role = 3;", "  string roles = 3;"])
    func compatibilityCanFail(_ change: String) throws {
        let text = try Files.proto("headers.proto")
        #expect(text.contains("  string role = 3;"))
        var kept = Schema()
        kept.read(text)
        var changed = Schema()
        changed.read(
            text.split(separator: "\n").map { $0 == "  string role = 3;" ? change : String($0) }.joined(separator: "\n")
        )
        #expect(!Set(kept.lines).subtracting(changed.lines).isEmpty)
    }
}

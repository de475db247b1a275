// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOWebSocket
import Testing

@testable import MartletEdge

/// Frames into messages and back, without a connection.
@Suite("Edge: WebSocket frames")
struct WebSocketFrameTests {
    private static let mask = WebSocketMaskingKey([1, 2, 3, 4])

    /// A frame as a client sends it; `bytes` are what it means.
    private func frame(
        _ opcode: UInt8, _ bytes: [UInt8] = [], fin: Bool = true, rsv: UInt8 = 0, masked: Bool = true
    ) throws -> WebSocketFrame {
        var data = ByteBuffer(bytes: bytes)
        let mask = try #require(Self.mask)
        if masked { data.webSocketMask(mask) }
        var frame = WebSocketFrame(
            fin: fin, opcode: try #require(WebSocketOpcode(encodedWebSocketOpcode: opcode)),
            maskKey: masked ? mask : nil, data: data)
        frame.rsv1 = rsv & 4 != 0
        frame.rsv2 = rsv & 2 != 0
        frame.rsv3 = rsv & 1 != 0
        return frame
    }

    @Test("Messages come as they were meant, whole or in fragments, with control frames in between")
    func messages() throws {
        var assembler = MessageAssembler(messageBytesMax: 20)
        #expect(
            try assembler.take(frame(1, Array("wörd".utf8)))
                == .message(isBinary: false, ByteBuffer(string: "wörd")))
        #expect(try assembler.take(frame(2, [0xFF])) == .message(isBinary: true, ByteBuffer(bytes: [0xFF])))
        #expect(try assembler.take(frame(1)) == .message(isBinary: false, ByteBuffer()))
        // Cut in the middle of a character.
        let bytes = Array("aö€".utf8)
        #expect(try assembler.take(frame(1, Array(bytes[..<2]), fin: false)) == .partial)
        #expect(assembler.heldBytes == 2)
        #expect(try assembler.take(frame(9, [7])) == .ping(ByteBuffer(bytes: [7])))
        #expect(try assembler.take(frame(0, Array(bytes[2..<5]), fin: false)) == .partial)
        #expect(try assembler.take(frame(10)) == .pong)
        #expect(
            try assembler.take(frame(0, Array(bytes[5...]))) == .message(isBinary: false, ByteBuffer(string: "aö€")))
        #expect(assembler.heldBytes == 0)
    }

    @Test("What RFC 6455 forbids has a fault of its own")
    func faults() throws {
        func fault(_ frames: [WebSocketFrame]) throws -> SocketFault? {
            var assembler = MessageAssembler(messageBytesMax: 10)
            do throws(SocketFault) {
                for frame in frames { _ = try assembler.take(frame) }
            } catch { return error }
            return nil
        }
        #expect(try fault([frame(1, [65], masked: false)]) == .unmasked)
        for rsv in UInt8(1)...7 { #expect(try fault([frame(1, [65], rsv: rsv)]) == .reservedBits) }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] as [UInt8] {
            #expect(try fault([frame(opcode)]) == .opcode)
        }
        #expect(try fault([frame(0, [65])]) == .fragments)
        #expect(try fault([frame(1, [65], fin: false), frame(1, [65])]) == .fragments)
        let ten = [UInt8](repeating: 65, count: 10)
        #expect(try fault([frame(1, ten, fin: false), frame(0)]) == nil)
        #expect(try fault([frame(1, ten, fin: false), frame(0, [65])]) == .tooBig)
        #expect(try fault([frame(1, [0xC3, 0x28])]) == .badText)
        #expect(try fault([frame(1, [0xC3], fin: false), frame(0)]) == .badText)
        #expect(try fault([frame(1, [0xED, 0xA0, 0x80])]) == .badText)
        #expect(try fault([frame(2, [0xC3], fin: false), frame(0)]) == nil)
    }

    @Test("A client's close says why, or breaks the rules")
    func closes() throws {
        func close(_ bytes: [UInt8]) throws -> Result<MessageAssembler.Event, SocketFault> {
            var assembler = MessageAssembler(messageBytesMax: 10)
            let frame = try frame(8, bytes)
            do throws(SocketFault) { return .success(try assembler.take(frame)) } catch { return .failure(error) }
        }
        #expect(try close([]) == .success(.close(code: nil, reason: "")))
        #expect(try close([3, 232]) == .success(.close(code: 1_000, reason: "")))
        #expect(try close([15, 160] + Array("bye".utf8)) == .success(.close(code: 4_000, reason: "bye")))
        #expect(try close([3]) == .failure(.closeFrame))
        for code in [0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 2_999, 5_000, 65_535] {
            #expect(try close([UInt8(code >> 8), UInt8(code & 0xFF)]) == .failure(.closeFrame))
        }
        #expect(try close([3, 232, 0xFF]) == .failure(.badText))
    }

    @Test("A frame of ours has the shortest length, no mask, and a reason that fits")
    func ours() {
        func head(_ count: Int) -> [UInt8] {
            let frame = ServerFrame.message(isBinary: false, [UInt8](repeating: 65, count: count))
            return Array(frame.readableBytesView.prefix(frame.readableBytes - count))
        }
        #expect(head(0) == [0x81, 0])
        #expect(head(125) == [0x81, 125])
        #expect(head(126) == [0x81, 126, 0, 126])
        #expect(head(65_535) == [0x81, 126, 255, 255])
        #expect(head(65_536) == [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0])
        #expect(ServerFrame.message(isBinary: true, [9]).readableBytesView.elementsEqual([0x82, 1, 9]))
        #expect(ServerFrame.ping().readableBytesView.elementsEqual([0x89, 0]))
        #expect(ServerFrame.pong(ByteBuffer(bytes: [1, 2])).readableBytesView.elementsEqual([0x8A, 2, 1, 2]))
        #expect(ServerFrame.close(code: nil, reason: "x").readableBytesView.elementsEqual([0x88, 0]))
        #expect(ServerFrame.close(code: 1_012, reason: "r").readableBytesView.elementsEqual([0x88, 3, 3, 244, 114]))
        // 61 characters of two bytes and no half one.
        let long = ServerFrame.close(code: 1_001, reason: "a" + String(repeating: "ö", count: 100))
        #expect(long.readableBytes == 2 + 2 + 123)
        #expect(ServerFrame.close(code: 1_001, reason: String(repeating: "ö", count: 100)).readableBytes == 2 + 2 + 122)
    }

    @Test("A handshake is told what is wrong with it")
    func handshakes() {
        let good: HTTPHeaders = [
            "Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        ]
        func status(_ name: String, _ value: String?) -> Int? {
            var headers = good
            headers.remove(name: name)
            if let value { headers.add(name: name, value: value) }
            do throws(EdgeError) { try WebSocketHandshake.check(headers) } catch { return error.status }
            return nil
        }
        #expect(status("Connection", "upgrade") == nil)
        #expect(status("Connection", "close") == 400)
        #expect(status("Sec-WebSocket-Version", "8") == 426)
        #expect(status("Sec-WebSocket-Version", nil) == 426)
        #expect(status("Sec-WebSocket-Key", nil) == 400)
        #expect(status("Sec-WebSocket-Key", "short") == 400)
        func isAsked(_ method: HTTPMethod, _ upgrade: String) -> Bool {
            WebSocketHandshake.isAsked(
                HTTPRequestHead(version: .http1_1, method: method, uri: "/", headers: ["Upgrade": upgrade]))
        }
        #expect(isAsked(.GET, "h2c, websocket"))
        #expect(!isAsked(.GET, "h2c"))
        #expect(!isAsked(.POST, "websocket"))
    }
}

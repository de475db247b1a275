// SPDX-License-Identifier: Apache-2.0
// Holds RT-01, RT-10, RT-11 of the realtime contract.

import Testing

@testable import MartletNotification

@Suite("Notification: envelopes and frames")
struct EnvelopeTests {
    private func text(_ slice: Slice) -> String { String(decoding: slice, as: UTF8.self) }

    @Test(
        "What is JSON is found, what is not is refused",
        arguments: [
            (#"{"a":1}"#, true), (" [1, 2.50e-7,\n-0] ", true), (#""\u00e9\n""#, true), ("null", true), ("", false),
            (#"{"a":1"#, false), (#"{"a" 1}"#, false), ("[1,]", false), (#"{"a":1,}"#, false), ("01", false),
            ("1.", false), ("-", false), ("tru", false), (#""\x""#, false), ("\"\n\"", false), ("[1] 2", false),
            (String(repeating: "[", count: 64) + String(repeating: "]", count: 64), true),
            (String(repeating: "[", count: 65) + String(repeating: "]", count: 65), false),
            (String(repeating: "[", count: 1_000_000), false),
        ])
    func documents(json: String, isValid: Bool) {
        #expect((JSONSlices.document(Array(json.utf8)) != nil) == isValid)
    }

    @Test("Bytes that are no UTF-8 are no JSON")
    func utf8() {
        #expect(JSONSlices.document([0x22, 0xC3, 0x28, 0x22]) == nil)
        #expect(JSONSlices.document([0x22, 0xED, 0xA0, 0x80, 0x22]) == nil)
        #expect(JSONSlices.document(Array("\"é😀\"".utf8)) != nil)
    }

    @Test("Members are slices of the text, numbers unread; of equal keys the last counts")
    func members() throws {
        let document = try #require(
            JSONSlices.document(Array(#" { "a" : 9007199254740993 , "\u0062":[1.0, 2], "a":1.0 } "#.utf8)))
        let members = try #require(JSONSlices.members(of: document))
        #expect(members.map(\.key) == ["a", "b", "a"])
        #expect(members["a"].map(text) == "1.0")
        #expect(members["b"].map(text) == "[1.0, 2]")
        #expect(members["b"].flatMap(JSONSlices.elements)?.map(text) == ["1.0", "2"])
    }

    @Test("The first serializer: an object with topic and event")
    func first() throws {
        let frame = #"{"topic":"realtime:a","event":"e","payload":{"x": 1.0},"ref":7,"join_ref":"1","more":true}"#
        let envelope = try #require(EnvelopeReader.read(Array(frame.utf8), .one))
        #expect(envelope.topic == "realtime:a" && envelope.event == "e")
        #expect(text(envelope.reference.raw) == "7" && text(envelope.joinReference.raw) == #""1""#)
        guard case .json(let payload) = envelope.content else { throw Failure() }
        #expect(text(payload) == #"{"x": 1.0}"#)
    }

    @Test(
        "What is no envelope is none",
        arguments: [
            "7", "[]", "{}", #"{"topic":"t"}"#, #"{"event":"e"}"#, #"{"topic":1,"event":"e"}"#,
            #"{"topic":"t","event":"e","ref":{}}"#, "not json",
        ])
    func noEnvelope(frame: String) {
        #expect(EnvelopeReader.read(Array(frame.utf8), .one) == nil)
        #expect(EnvelopeReader.read(Array(frame.utf8), .two) == nil)
    }

    @Test("The second serializer: an array of five")
    func second() throws {
        let envelope = try #require(EnvelopeReader.read(Array(#"[null,"2","t","e",{}]"#.utf8), .two))
        #expect(envelope.joinReference.isNull && text(envelope.reference.raw) == #""2""#)
        #expect(EnvelopeReader.read(Array(#"[null,"2","t","e"]"#.utf8), .two) == nil)
        #expect(EnvelopeReader.read(Array(#"[null,"2","t",5,{}]"#.utf8), .two) == nil)
    }

    @Test("A user's broadcast in a binary frame, byte by byte")
    func kindThree() throws {
        let frame: [UInt8] =
            [3, 1, 2, 3, 1, 2, 1] + Array("7".utf8) + Array("12".utf8) + Array("t:x".utf8) + Array("e".utf8)
            + Array("{}".utf8) + Array("[1.0]".utf8)
        let envelope = try #require(BinaryFrame.read(frame))
        #expect(envelope.topic == "t:x" && envelope.event == "broadcast")
        #expect(text(envelope.joinReference.raw) == #""7""# && text(envelope.reference.raw) == #""12""#)
        guard case .broadcast(let broadcast) = envelope.content else { throw Failure() }
        #expect(broadcast.event == "e" && !broadcast.isBinary && text(broadcast.payload) == "[1.0]")

        let binary: [UInt8] = [3, 0, 0, 1, 1, 0, 0, 0x74, 0x65, 0xFF, 0x00]
        guard case .broadcast(let raw)? = BinaryFrame.read(binary)?.content else { throw Failure() }
        #expect(raw.isBinary && Array(raw.payload) == [0xFF, 0x00])
        #expect(BinaryFrame.read(binary)?.joinReference.isNull == true)
    }

    @Test(
        "Binary frames that cannot be read",
        arguments: [
            [], [3], [3, 0, 0, 1, 1, 0], [3, 0, 0, 9, 1, 0, 0, 0x74, 0x65], [3, 0, 0, 1, 1, 0, 2, 0x74, 0x65],
            [3, 0, 0, 1, 1, 0, 1, 0x74, 0x65, 0x7B], [3, 0, 0, 1, 1, 0, 0, 0xFF, 0x65], [9, 0, 0, 0, 0, 0, 0],
            [4, 1, 1, 0, 1, 0x74, 0x65], [0, 1, 1], [0, 0, 0, 5, 1, 0x74],
        ] as [[UInt8]])
    func badBinary(frame: [UInt8]) { #expect(BinaryFrame.read(frame) == nil) }

    @Test("Kind 0 is read and has no event of ours")
    func kindZero() throws {
        let envelope = try #require(BinaryFrame.read([0, 0, 1, 1, 1, 0x35, 0x74, 0x65, 1, 2, 3]))
        #expect(envelope.topic == "t" && envelope.event == "e" && text(envelope.reference.raw) == #""5""#)
        guard case .opaque = envelope.content else { throw Failure() }
    }

    @Test("A broadcast to members in kind 4, byte by byte; names longer than 255 bytes do not fit")
    func kindFour() {
        let payload = Array(#"{"a":1.0}"#.utf8)
        let broadcast = Envelope.Broadcast(event: "ev", isBinary: false, payload: payload[...])
        #expect(
            BinaryFrame.userBroadcast(topic: "realtime:r", broadcast)
                == [4, 10, 2, 0, 1] + Array("realtime:r".utf8) + Array("ev".utf8) + payload)
        let binary = Envelope.Broadcast(event: "ev", isBinary: true, payload: [0, 255])
        #expect(BinaryFrame.userBroadcast(topic: "t", binary) == [4, 1, 2, 0, 0, 0x74, 0x65, 0x76, 0, 255])
        #expect(BinaryFrame.userBroadcast(topic: String(repeating: "t", count: 256), broadcast) == nil)
    }

    @Test("A join's settings; what cannot be read is as if it were not there")
    func config() {
        func config(_ payload: String) -> JoinConfig { JoinConfig(payload: Array(payload.utf8)[...]) }
        let full = config(
            #"{"config":{"broadcast":{"ack":"true","self":true},"presence":{"key":7,"enabled":true},"private":"true","#
                + #""postgres_changes":[{"event":"insert","table":"t"},null,{}]},"access_token":"a.b.c"}"#)
        #expect(full.acknowledgesBroadcasts && full.receivesOwnBroadcasts && full.isPrivate && full.presenceIsEnabled)
        #expect(full.presenceKey == "7" && full.accessToken == "a.b.c")
        #expect(full.changes.map(\.event) == ["INSERT", "*"])
        #expect(full.changes.map(\.schema) == ["public", "public"] && full.changes.map(\.table) == ["t", "*"])
        let ids = full.changes.map(\.id)
        #expect(
            String(decoding: full.response, as: UTF8.self)
                == #"{"postgres_changes":[{"event":"insert","table":"t","id":\#(ids[0])},{"id":\#(ids[1])}]}"#)
        #expect(ids.allSatisfy { $0 < 1 << 53 } && ids[0] != ids[1])

        let empty = config(
            #"{"config":{"broadcast":null,"presence":[],"postgres_changes":null,"private":3},"user_token":"u"}"#)
        #expect(!empty.acknowledgesBroadcasts && !empty.presenceIsEnabled && !empty.isPrivate)
        #expect(empty.accessToken == "u" && empty.changes.isEmpty)
        #expect(String(decoding: config("{}").response, as: UTF8.self) == #"{"postgres_changes":[]}"#)
        #expect(config("null").presenceKey.isEmpty)
    }

    @Test("Equal subscriptions have equal numbers, others not")
    func changeNumbers() {
        func id(_ entry: String) -> UInt64? {
            JoinConfig(payload: Array(#"{"config":{"postgres_changes":[\#(entry)]}}"#.utf8)[...]).changes.first?.id
        }
        #expect(id(#"{"event":"*","table":"t"}"#) == id(#"{"table":"t","schema":"public"}"#))
        #expect(id(#"{"schema":"ab","table":"c"}"#) != id(#"{"schema":"a","table":"bc"}"#))
        #expect(id(#"{"table":"t","filter":"id=eq.1"}"#) != id(#"{"table":"t","filter":"id=eq.2"}"#))
    }

    private struct Failure: Error {}
}

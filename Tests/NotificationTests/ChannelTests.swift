// SPDX-License-Identifier: Apache-2.0
// Holds RT-11, RT-12, RT-13, RT-14, RT-20, RT-21, RT-30, RT-31 of the realtime contract.

import MartletServiceKit
import Testing

@testable import MartletNotification

/// Every frame of sections 2 to 5 of the contract, byte by byte and in both serializers.
@Suite("Notification: channels and broadcasts", .timeLimit(.minutes(1)))
struct ChannelTests {
    private let fixture: HubFixture

    init() throws { fixture = try HubFixture() }

    private func sockets() async {
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.open("b", .two)
    }

    @Test("A heartbeat is answered with its own reference, null included")
    func heartbeat() async {
        await sockets()
        await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":null}"#)
        await fixture.text("b", #"[null,"9","phoenix","heartbeat",{}]"#)
        #expect(
            await fixture.received() == [
                #"a: {"topic":"phoenix","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":null}"#,
                #"b: [null,"9","phoenix","phx_reply",{"status":"ok","response":{}}]"#,
            ])
        fixture.end()
    }

    @Test("Joining repeats what was asked for; the reference comes back as it was")
    func join() async {
        await sockets()
        await fixture.text("a", #"{"topic":"realtime:r","event":"phx_join","payload":{},"ref":3,"join_ref":3}"#)
        await fixture.text("b", #"["1","2","realtime:r","phx_join",{"config":{"broadcast":{"self":true}}}]"#)
        let response = #"{"status":"ok","response":{"postgres_changes":[]}}"#
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":\#(response),"ref":3}"#,
                #"b: ["1","2","realtime:r","phx_reply",\#(response)]"#,
            ])
        fixture.end()
    }

    @Test("Joins that cannot be, in the contract's words")
    func refusedJoins() async {
        await sockets()
        for (topic, reason) in [
            ("other:r", "unmatched topic"), ("phoenix", "unmatched topic"),
            ("realtime:", "TopicNameRequired: You must provide a topic name"),
        ] {
            await fixture.text("a", #"{"topic":"\#(topic)","event":"phx_join","payload":{},"ref":"1"}"#)
            #expect(
                await fixture.received() == [
                    #"a: {"topic":"\#(topic)","event":"phx_reply","payload":{"status":"error","response":{"reason":"\#(reason)"}},"ref":"1"}"#
                ])
        }
        fixture.end()
    }

    @Test("What is said to a topic that was not joined is answered; leaving it is fine")
    func unmatched() async {
        await sockets()
        await fixture.text("b", #"[null,"4","realtime:r","broadcast",{"event":"e"}]"#)
        await fixture.text("a", #"{"topic":"realtime:r","event":"phx_leave","payload":{},"ref":"5"}"#)
        #expect(
            await fixture.received() == [
                #"b: [null,"4","realtime:r","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]"#,
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"5"}"#,
            ])
        fixture.end()
    }

    @Test("Leaving is answered, then closed with the join's reference")
    func leave() async {
        await sockets()
        await fixture.joined("a", .one, "realtime:r")
        await fixture.joined("b", .two, "realtime:r")
        await fixture.text("a", #"{"topic":"realtime:r","event":"phx_leave","payload":{},"ref":"5","join_ref":"1"}"#)
        await fixture.text("b", #"["1","6","realtime:r","phx_leave",{}]"#)
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"5"}"#,
                #"a: {"topic":"realtime:r","event":"phx_close","payload":{},"ref":"1"}"#,
                #"b: ["1","6","realtime:r","phx_reply",{"status":"ok","response":{}}]"#,
                #"b: ["1","1","realtime:r","phx_close",{}]"#,
            ])
        fixture.end()
    }

    @Test("Joining again ends the first membership; its messages are stale then")
    func joinAgain() async {
        await sockets()
        await fixture.joined("a", .one, "realtime:r")
        await fixture.joined("b", .two, "realtime:r")
        await fixture.text("b", #"["7","7","realtime:r","phx_join",{}]"#)
        #expect(
            await fixture.received() == [
                #"b: ["1","1","realtime:r","phx_close",{}]"#,
                #"b: ["7","7","realtime:r","phx_reply",{"status":"ok","response":{"postgres_changes":[]}}]"#,
            ])
        await fixture.text("b", #"["1","8","realtime:r","broadcast",{"event":"old","payload":{}}]"#)
        await fixture.text("b", #"["1","8","realtime:r","phx_leave",{}]"#)
        #expect(await fixture.received().isEmpty)
        await fixture.text("b", #"["7","9","realtime:r","broadcast",{"event":"new","payload":{}}]"#)
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"broadcast","payload":{"type":"broadcast","event":"new","payload":{}},"ref":null}"#
            ])
        fixture.end()
    }

    @Test("Broken frames, unknown events and binary frames of the first serializer are dropped, and counted")
    func dropped() async {
        await sockets()
        await fixture.joined("a", .one, "realtime:r")
        for frame in ["", "{", "[1]", #"{"topic":"realtime:r"}"#] { await fixture.text("a", frame) }
        await fixture.binary("a", [3, 0, 0, 10, 1, 0, 1] + Array("realtime:re{}".utf8))
        await fixture.binary("b", [7, 7, 7])
        await fixture.text("a", #"{"topic":"realtime:r","event":"nobody_knows","payload":{},"ref":"2"}"#)
        #expect(await fixture.received().isEmpty)
        #expect(fixture.registry.text.contains("martlet_notification_frames_dropped_total 6"))
        fixture.end()
    }

    @Test("A broadcast reaches the others in their own serializer, its payload untouched")
    func broadcast() async {
        await sockets()
        await fixture.open("c", .one)
        for (socket, serializer) in [("a", Serializer.one), ("b", .two), ("c", .one)] {
            await fixture.joined(socket, serializer, "realtime:room")
        }
        let payload = #"{"n": 9007199254740993,"x":1.0, "e":"\u00e9"}"#
        await fixture.text(
            "a",
            #"{"topic":"realtime:room","event":"broadcast","payload":{"type":"broadcast","event":"ev","payload":\#(payload)},"ref":"2"}"#
        )
        let text =
            #"{"topic":"realtime:room","event":"broadcast","payload":{"type":"broadcast","event":"ev","payload":\#(payload)},"ref":null}"#
        #expect(
            await fixture.received() == [
                #"c: \#(text)"#, #"b: <4><13><2><0><1>realtime:roomev\#(payload)"#,
            ])
        await fixture.binary(
            "b", [3, 1, 1, 13, 2, 0, 1] + Array("13realtime:roomev".utf8) + Array(payload.utf8))
        #expect(await fixture.received() == ["a: \(text)", "c: \(text)"])
        fixture.end()
    }

    @Test("Binary payloads go to the second serializer alone")
    func binaryBroadcast() async {
        await sockets()
        await fixture.open("c", .two)
        await fixture.joined("a", .one, "realtime:r")
        await fixture.joined("b", .two, "realtime:r", #"{"broadcast":{"ack":true,"self":true}}"#)
        await fixture.joined("c", .two, "realtime:r")
        await fixture.binary("b", [3, 1, 1, 10, 1, 0, 0] + Array("15realtime:re".utf8) + [0, 1, 0xFF])
        #expect(
            await fixture.received() == [
                "b: <4><10><1><0><0>realtime:re<0><1><255>", "c: <4><10><1><0><0>realtime:re<0><1><255>",
                #"b: ["1","5","realtime:r","phx_reply",{"status":"ok","response":{}}]"#,
            ])
        fixture.end()
    }

    @Test("Names too long for a binary frame go as text")
    func longTopic() async {
        await sockets()
        let topic = "realtime:" + String(repeating: "x", count: 250)
        await fixture.joined("a", .one, topic)
        await fixture.joined("b", .two, topic)
        await fixture.text(
            "a", #"{"topic":"\#(topic)","event":"broadcast","payload":{"event":"e","payload":1},"ref":null}"#)
        #expect(
            await fixture.received() == [
                #"b: [null,null,"\#(topic)","broadcast",{"type":"broadcast","event":"e","payload":1}]"#
            ])
        fixture.end()
    }

    @Test("Acknowledgement and echo are as the join asked for; too large a payload says so to who asked")
    func acknowledge() async throws {
        var limits = HubLimits()
        limits.broadcastBytesMax = 10
        let fixture = try HubFixture(limits: limits)
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.open("b", .one)
        await fixture.joined("a", .one, "realtime:r", #"{"broadcast":{"ack":true,"self":"true"}}"#)
        await fixture.joined("b", .one, "realtime:r")
        let ten = #"{"topic":"realtime:r","event":"broadcast","payload":{"event":"e","payload":"12345678"},"ref":"2"}"#
        let eleven =
            #"{"topic":"realtime:r","event":"broadcast","payload":{"event":"e","payload":"123456789"},"ref":"3"}"#
        let delivered =
            #"{"topic":"realtime:r","event":"broadcast","payload":{"type":"broadcast","event":"e","payload":"12345678"},"ref":null}"#
        await fixture.text("a", ten)
        #expect(
            await fixture.received() == [
                "a: \(delivered)", "b: \(delivered)",
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"2"}"#,
            ])
        await fixture.text("a", eleven)
        await fixture.text("b", eleven)
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"error","response":{"error":"payload_size_exceeded"}},"ref":"3"}"#
            ])
        fixture.end()
    }

    @Test("A private channel is for service_role, and another one than the public of its name")
    func privateChannels() async {
        await sockets()
        await fixture.open("s", .one, role: "service_role")
        await fixture.text(
            "a", #"{"topic":"realtime:r","event":"phx_join","payload":{"config":{"private":true}},"ref":"1"}"#)
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"error","response":{"reason":"Unauthorized: You do not have permissions to read from this Channel topic: r"}},"ref":"1"}"#
            ])
        await fixture.joined("a", .one, "realtime:r")
        await fixture.joined("s", .one, "realtime:r", #"{"private":true}"#)
        for socket in ["a", "s"] {
            await fixture.text(socket, #"{"topic":"realtime:r","event":"broadcast","payload":{"event":"e"},"ref":"2"}"#)
        }
        #expect(await fixture.received().isEmpty)
        fixture.end()
    }

    @Test("An answer that was lost is given again; a gap in what an edge sends ends its session")
    func session() async {
        await sockets()
        await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}"#)
        let hub = fixture.hub
        let first = await hub.receive(session: "edge", acknowledged: 0, wait: .zero, begins: false)
        #expect(first.sequence == 1 && first.items.count == 1)
        await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"2"}"#)
        #expect(await hub.receive(session: "edge", acknowledged: 0, wait: .zero, begins: false) == first)
        let second = await hub.receive(session: "edge", acknowledged: 1, wait: .zero, begins: false)
        #expect(second.sequence == 2 && second.items.count == 1 && second != first)
        #expect(
            await hub.receive(session: "edge", acknowledged: 2, wait: .zero, begins: false) == Delivery(sequence: 2))

        #expect(await hub.send(session: "edge", sequence: 99, []) == false)
        #expect(await hub.receive(session: "edge", acknowledged: 2, wait: .zero, begins: false).isUnknownSession)
        fixture.end()
    }

    @Test("Who waits is answered as soon as there is something, and when the process stops")
    func longPoll() async {
        await sockets()
        let hub = fixture.hub
        async let waiting = hub.receive(session: "edge", acknowledged: 0, wait: .seconds(10), begins: false)
        await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}"#)
        #expect(await waiting.items.count == 1)
        async let closing = hub.receive(session: "edge", acknowledged: 1, wait: .seconds(10), begins: false)
        await hub.drain()
        let close = Outgoing.Content.close(code: 1_012, reason: "The service restarts")
        #expect(await closing.items.map(\.content) == [close])
        #expect(await hub.receive(session: "edge", acknowledged: 2, wait: .seconds(10), begins: false).items.isEmpty)
        fixture.end()
    }

    @Test("Nothing that is said while an edge begins to wait is left lying")
    func waitingRace() async {
        await sockets()
        let hub = fixture.hub
        for round in 0..<1_000 {
            async let waiting = hub.receive(
                session: "edge", acknowledged: UInt64(round), wait: .seconds(10), begins: false)
            await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}"#)
            #expect(await waiting.sequence == UInt64(round) + 1)
        }
        fixture.end()
    }

    @Test("An edge that does not ask any more is given up")
    func silentEdge() async {
        await sockets()
        await fixture.advance(.seconds(14), asking: false)
        #expect(await fixture.received().isEmpty)
        await fixture.advance(.seconds(16), asking: false)
        let delivery = await fixture.hub.receive(session: "edge", acknowledged: 0, wait: .zero, begins: false)
        #expect(delivery.isUnknownSession)
        fixture.end()
    }
}

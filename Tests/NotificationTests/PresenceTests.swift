// SPDX-License-Identifier: Apache-2.0
// Holds RT-40, RT-41, RT-62 of the realtime contract.

import Testing

@testable import MartletNotification

@Suite("Notification: presence", .timeLimit(.minutes(1)))
struct PresenceTests {
    private let fixture: HubFixture

    init() throws { fixture = try HubFixture() }

    private func track(_ socket: String, _ content: String, reference: String = "5") async {
        await fixture.text(
            socket,
            #"{"topic":"realtime:r","event":"presence","payload":{"type":"presence","event":"TRACK","payload":\#(content)},"ref":"\#(reference)"}"#
        )
    }

    private func diff(joins: String = "{}", leaves: String = "{}") -> String {
        #"{"topic":"realtime:r","event":"presence_diff","payload":{"joins":\#(joins),"leaves":\#(leaves)},"ref":null}"#
    }

    private let ok = #"{"topic":"realtime:r","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"5"}"#

    private func members() async {
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.open("b", .one)
    }

    @Test("Track, track something else, track the same, untrack: every difference once, the actor included")
    func life() async {
        await members()
        await fixture.joined("a", .one, "realtime:r", #"{"presence":{"key":"k","enabled":true}}"#)
        await fixture.joined("b", .one, "realtime:r", #"{"presence":{"enabled":true}}"#)
        await track("a", #"{"n":1.0}"#)
        let first = #"{"phx_ref":"t-3","n":1.0}"#
        let joins = diff(joins: #"{"k":{"metas":[\#(first)]}}"#)
        #expect(await fixture.received() == ["a: \(ok)", "a: \(joins)", "b: \(joins)"])

        await track("a", #"{"n":2,"phx_ref":"mine"}"#)
        let second = #"{"phx_ref":"t-4","phx_ref_prev":"t-3","n":2}"#
        let change = diff(joins: #"{"k":{"metas":[\#(second)]}}"#, leaves: #"{"k":{"metas":[\#(first)]}}"#)
        #expect(await fixture.received() == ["a: \(ok)", "a: \(change)", "b: \(change)"])

        await track("a", #"{"n":2,"phx_ref":"mine"}"#)
        #expect(await fixture.received() == ["a: \(ok)"])

        await fixture.text("a", #"{"topic":"realtime:r","event":"presence","payload":{"event":"untrack"},"ref":"5"}"#)
        let leaves = diff(leaves: #"{"k":{"metas":[\#(second)]}}"#)
        #expect(await fixture.received() == ["a: \(ok)", "a: \(leaves)", "b: \(leaves)"])
        fixture.end()
    }

    @Test("A joining member gets the state after its reply, in either serializer")
    func state() async {
        await members()
        await fixture.joined("a", .one, "realtime:r", #"{"presence":{"key":"k","enabled":true}}"#)
        await track("a", #"{"n":1}"#)
        _ = await fixture.received()
        await fixture.open("c", .two)
        await fixture.text("c", #"["9","9","realtime:r","phx_join",{"config":{"presence":{"enabled":true}}}]"#)
        #expect(
            await fixture.received() == [
                #"c: ["9","9","realtime:r","phx_reply",{"status":"ok","response":{"postgres_changes":[]}}]"#,
                #"c: [null,null,"realtime:r","presence_state",{"k":{"metas":[{"phx_ref":"t-2","n":1}]}}]"#,
            ])
        await fixture.text("c", #"["9","10","realtime:r","presence",{"type":"presence","event":"track","payload":{}}]"#)
        let received = await fixture.received("c")
        #expect(received.first == #"["9","10","realtime:r","phx_reply",{"status":"ok","response":{}}]"#)
        #expect(received.last?.hasPrefix(#"[null,null,"realtime:r","presence_diff",{"joins":{""#) == true)
        fixture.end()
    }

    @Test("The first track turns presence on: the state holds the others, the difference oneself, nobody twice")
    func seam() async {
        await members()
        await fixture.joined("a", .one, "realtime:r", #"{"presence":{"key":"a","enabled":true}}"#)
        await track("a", "{}")
        await fixture.joined("b", .one, "realtime:r", #"{"presence":{"key":"b"}}"#)
        await track("b", "{}")
        let state =
            #"{"topic":"realtime:r","event":"presence_state","payload":{"a":{"metas":[{"phx_ref":"t-2"}]}},"ref":null}"#
        let joins = diff(joins: #"{"b":{"metas":[{"phx_ref":"t-4"}]}}"#)
        #expect(await fixture.received() == ["b: \(ok)", "b: \(state)", "a: \(joins)", "b: \(joins)"])
        fixture.end()
    }

    @Test("A second connection under the same key joins and leaves with its own meta alone")
    func sameKey() async {
        await members()
        let config = #"{"presence":{"key":"k","enabled":true}}"#
        await fixture.joined("a", .one, "realtime:r", config)
        await fixture.joined("b", .one, "realtime:r", config)
        await track("a", #"{"of":"a"}"#)
        _ = await fixture.received()
        await track("b", #"{"of":"b"}"#)
        let meta = #"{"phx_ref":"t-4","of":"b"}"#
        let joins = diff(joins: #"{"k":{"metas":[\#(meta)]}}"#)
        #expect(await fixture.received() == ["b: \(ok)", "a: \(joins)", "b: \(joins)"])
        await fixture.send([.closed(socket: "b")])
        #expect(await fixture.received() == ["a: " + diff(leaves: #"{"k":{"metas":[\#(meta)]}}"#)])
        fixture.end()
    }

    @Test("Only an object can be tracked; a member without presence hears nothing")
    func refusals() async {
        await members()
        await fixture.joined("a", .one, "realtime:r")
        await fixture.joined("b", .one, "realtime:r")
        await track("a", "[1]")
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"error","response":{"reason":"Presence track payload must be a map"}},"ref":"5"}"#
            ])
        await track("a", "{}")
        #expect(await fixture.received("b").isEmpty)
        fixture.end()
    }

    @Test("Too many presence calls end the membership, with the reason first")
    func rate() async {
        await members()
        await fixture.joined("a", .one, "realtime:r")
        for number in 0..<20 { await track("a", #"{"n":\#(number)}"#) }
        _ = await fixture.received()
        await track("a", "{}")
        #expect(
            await fixture.received() == [
                #"a: {"topic":"realtime:r","event":"system","payload":{"extension":"system","status":"error","message":"Client presence rate limit exceeded","channel":"r"},"ref":null}"#,
                #"a: {"topic":"realtime:r","event":"phx_close","payload":{},"ref":"1"}"#,
            ])
        fixture.end()
    }

    @Test("When an edge goes with many members, the others hear of it in one message")
    func lostEdge() async {
        await members()
        let config = #"{"presence":{"key":"k","enabled":true}}"#
        for socket in ["a", "b"] {
            await fixture.joined(socket, .one, "realtime:r", config)
            await track(socket, #"{"of":"\#(socket)"}"#)
        }
        _ = await fixture.received()
        let hub = fixture.hub
        _ = await hub.receive(session: "other", acknowledged: 0, wait: .zero, begins: true)
        let opened = Incoming.opened(
            socket: "z", serializer: .one, grant: Grant(role: "anon", claims: "{}", token: "", expiresAt: nil))
        let join =
            #"{"topic":"realtime:r","event":"phx_join","payload":{"config":{"presence":{"enabled":true}}},"ref":"1"}"#
        #expect(
            await hub.send(
                session: "other", sequence: 1,
                [opened, .frame(socket: "z", isBinary: false, bytes: Array(join.utf8))]))
        _ = await hub.receive(session: "other", acknowledged: 0, wait: .zero, begins: false)
        #expect(await hub.send(session: "edge", sequence: 1, []) == false)
        let delivery = await hub.receive(session: "other", acknowledged: 1, wait: .zero, begins: false)
        let leaves = delivery.items.map { item in
            if case .text(let bytes) = item.content { String(decoding: bytes, as: UTF8.self) } else { "" }
        }
        #expect(leaves.count == 1)
        let metas = #"{"phx_ref":"t-2","of":"a"},{"phx_ref":"t-4","of":"b"}"#
        let reversed = #"{"phx_ref":"t-4","of":"b"},{"phx_ref":"t-2","of":"a"}"#
        #expect(
            leaves == [diff(leaves: #"{"k":{"metas":[\#(metas)]}}"#)]
                || leaves == [diff(leaves: #"{"k":{"metas":[\#(reversed)]}}"#)])
        fixture.end()
    }
}

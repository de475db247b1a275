// SPDX-License-Identifier: Apache-2.0
// Holds RT-02, RT-14, RT-70, RT-71, RT-72 of the realtime contract.

import MartletWire
import Testing

@testable import MartletNotification

@Suite("Notification: limits, and broadcasts over HTTP", .timeLimit(.minutes(1)))
struct LimitTests {
    private func fixture(_ change: (inout HubLimits) -> Void = { _ in }) async throws -> HubFixture {
        var limits = HubLimits()
        change(&limits)
        let fixture = try HubFixture(limits: limits)
        await fixture.begin()
        await fixture.open("a", .one)
        return fixture
    }

    private func join(_ number: Int) -> Incoming {
        let text = #"{"topic":"realtime:\#(number)","event":"phx_join","payload":{},"ref":"1","join_ref":"1"}"#
        return .frame(socket: "a", isBinary: false, bytes: Array(text.utf8))
    }

    private func refusal(_ number: Int, _ reason: String) -> String {
        #"a: {"topic":"realtime:\#(number)","event":"phx_reply","payload":{"status":"error","response":{"reason":"\#(reason)"}},"ref":"1"}"#
    }

    @Test("A socket has so many channels and no more; leaving one makes room")
    func channels() async throws {
        let fixture = try await fixture { $0.channelsPerSocketMax = 2 }
        for number in 1...2 { await fixture.send([join(number)]) }
        _ = await fixture.received()
        await fixture.send([join(3)])
        #expect(await fixture.received() == [refusal(3, "ChannelRateLimitReached: Too many channels")])
        await fixture.text("a", #"{"topic":"realtime:1","event":"phx_leave","payload":{},"ref":"2"}"#)
        await fixture.send([join(3)])
        #expect(await fixture.received().last?.contains(#""status":"ok""#) == true)
        fixture.end()
    }

    @Test("Joins beyond the rate are refused, ten times the rate closes with 1008; the next second is free")
    func joinFlood() async throws {
        let fixture = try await fixture { $0.socketJoinsPerSecond = 3 }
        let tooMany = "ClientJoinRateLimitReached: Too many joins per second"
        await fixture.send((1...4).map(join))
        #expect(await fixture.received().last == refusal(4, tooMany))
        await fixture.advance(.seconds(1))
        await fixture.send([join(5)])
        #expect(await fixture.received().last?.contains(#""status":"ok""#) == true)
        await fixture.send((6...40).map(join))
        #expect(
            await fixture.received().suffix(2) == [refusal(34, tooMany), "a: close 1008 Too many joins per second"])
        fixture.end()
    }

    @Test("All sockets together have a rate of joins too")
    func nodeJoins() async throws {
        let fixture = try await fixture { $0.joinsPerSecond = 2 }
        await fixture.send((1...3).map(join))
        #expect(
            await fixture.received().last == refusal(3, "ClientJoinRateLimitReached: Too many joins per second"))
        fixture.end()
    }

    @Test("Who says nothing for a minute is closed with 1001, who has a heartbeat is not")
    func idle() async throws {
        let fixture = try await fixture()
        await fixture.open("b", .two)
        for _ in 0..<6 {
            await fixture.advance(.seconds(10))
            await fixture.text("b", #"[null,null,"phoenix","heartbeat",{}]"#)
            _ = await fixture.received()
        }
        await fixture.advance(.seconds(1))
        #expect(await fixture.received() == ["a: close 1001 No message within the idle timeout"])
        fixture.end()
    }

    @Test("One socket more than may be is closed with 1013")
    func sockets() async throws {
        let fixture = try await fixture { $0.socketsMax = 1 }
        await fixture.open("b", .one)
        #expect(await fixture.received() == ["b: close 1013 Too many connected users"])
        await fixture.send([.closed(socket: "a")])
        await fixture.open("c", .one)
        #expect(await fixture.received().isEmpty)
        fixture.end()
    }

    @Test("Messages beyond the rate, averaged over a minute, end the channel that sends")
    func messages() async throws {
        let fixture = try await fixture { $0.messagesPerSecond = 1 }
        await fixture.joined("a", .one, "realtime:r")
        let message = #"{"topic":"realtime:r","event":"broadcast","payload":{"event":"e"},"ref":"2"}"#
        for _ in 0..<60 { await fixture.text("a", message) }
        #expect(await fixture.received().isEmpty)
        await fixture.text("a", message)
        let received = await fixture.received()
        #expect(received.count == 2 && received[0].contains(#""message":"Too many messages per second""#))
        fixture.end()
    }

    @Test("An edge that takes nothing is given up when too much waits for it")
    func queue() async throws {
        let fixture = try await fixture { $0.sessionBytesMax = 250_000 }
        await fixture.joined("a", .one, "realtime:r", #"{"broadcast":{"self":true}}"#)
        let payload = String(repeating: "x", count: 10_000)
        let frame = Array(
            #"{"topic":"realtime:r","event":"broadcast","payload":{"event":"e","payload":"\#(payload)"},"ref":"2"}"#
                .utf8)
        var sequence: UInt64 = 3
        var isKnown = true
        while isKnown, sequence < 100 {
            isKnown = await fixture.hub.send(
                session: "edge", sequence: sequence, [.frame(socket: "a", isBinary: false, bytes: frame)])
            sequence += 1
        }
        #expect((20...30).contains(sequence))
        fixture.end()
    }

    @Test("A window counts the last seconds and forgets what is older")
    func window() {
        var window = RateWindow(seconds: 3)
        #expect(window.note(second: 10) == 1 && window.note(second: 10) == 2 && window.note(second: 12) == 3)
        #expect(window.note(second: 13) == 2)
        #expect(window.note(second: 5) == 3)
        #expect(window.note(second: 100) == 1)
    }

    // MARK: HTTP

    private func post(
        _ fixture: HubFixture, _ body: String, role: String = "anon", status: Principal.TokenStatus = .valid,
        method: String = "POST", path: String = "/api/broadcast"
    ) async -> BroadcastRoute.Answer {
        await BroadcastRoute(hub: fixture.hub, payloadBytesMax: 20).answer(
            HTTPRequestHead(method: method, path: path), body: Array(body.utf8),
            principal: Principal(tokenStatus: status, role: role))
    }

    @Test("Messages over HTTP reach the members; private ones only from service_role, and nobody is told")
    func broadcast() async throws {
        let fixture = try await fixture()
        await fixture.open("s", .one, role: "service_role")
        await fixture.joined("a", .one, "realtime:r")
        await fixture.joined("s", .one, "realtime:r", #"{"private":true}"#)
        let body =
            #"{"messages":[{"topic":"r","event":"e","payload":{"n":1.0}},{"topic":"r","event":"p","payload":2,"private":true}]}"#
        let shared =
            #"a: {"topic":"realtime:r","event":"broadcast","payload":{"type":"broadcast","event":"e","payload":{"n":1.0}},"ref":null}"#
        #expect(await post(fixture, body) == .accepted)
        #expect(await fixture.received() == [shared])
        #expect(await post(fixture, body, role: "service_role") == .accepted)
        #expect(
            await fixture.received() == [
                shared,
                #"s: {"topic":"realtime:r","event":"broadcast","payload":{"type":"broadcast","event":"p","payload":2},"ref":null}"#,
            ])
        fixture.end()
    }

    @Test("One bad message and none is sent")
    func refusedBroadcasts() async throws {
        let fixture = try await fixture()
        await fixture.joined("a", .one, "realtime:r")
        let good = #"{"topic":"r","event":"e","payload":{}}"#
        for (messages, errors) in [
            (#"{"topic":"r","event":"e"}"#, #"[{"payload":["can't be blank"]}]"#),
            (
                good + #",{"topic":"","payload":1}"#,
                #"[{},{"topic":["can't be blank"],"event":["can't be blank"]}]"#
            ),
            (
                #"{"topic":"r","event":"e","payload":"0123456789012345678"}"#,
                #"[{"payload":["Payload size exceeds the limit of 20 bytes"]}]"#
            ),
        ] {
            let answer = await post(fixture, #"{"messages":[\#(messages)]}"#)
            #expect(answer == .init(status: 422, body: #"{"errors":{"messages":\#(errors)}}"#))
        }
        for body in ["", "{}", "[]", #"{"messages":{}}"#] { #expect(await post(fixture, body).status == 422) }
        #expect(await post(fixture, "{}", status: .invalid) == .unauthorized)
        #expect(await post(fixture, "{}", method: "GET") == .notAllowed)
        #expect(await post(fixture, "{}", path: "/api/other") == .notFound)
        #expect(await fixture.received().isEmpty)
        fixture.end()
    }

    @Test("Over HTTP the rate of messages holds too")
    func rateOverHTTP() async throws {
        let fixture = try await fixture { $0.messagesPerSecond = 1 }
        let messages = Array(repeating: #"{"topic":"r","event":"e","payload":1}"#, count: 61).joined(separator: ",")
        #expect(await post(fixture, #"{"messages":[\#(messages)]}"#) == .tooMany)
        fixture.end()
    }
}

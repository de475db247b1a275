// SPDX-License-Identifier: Apache-2.0
// Holds RT-61, RT-62 of the realtime contract.

import MartletJSON
import Testing

@testable import MartletNotification

@Suite("Notification: tokens of channels", .timeLimit(.minutes(1)))
struct TokenTests {
    private let fixture: HubFixture

    init() throws { fixture = try HubFixture() }

    private func token(_ role: String = "authenticated", life: Int64 = 100, extra: JSONObject = [:]) throws -> String {
        var claims: JSONObject = [
            "role": .string(role), "sub": "u", "session_id": "s", "exp": .integer(HubFixture.start + life),
        ]
        for (key, value) in extra.members { claims[key] = value }
        return try HubFixture.token(claims)
    }

    private func join(_ token: String?, _ config: String = "{}", topic: String = "realtime:r") async {
        let member = token.map { #","access_token":"\#($0)""# } ?? ""
        await fixture.text(
            "a",
            #"{"topic":"\#(topic)","event":"phx_join","payload":{"config":\#(config)\#(member)},"ref":"1","join_ref":"1"}"#
        )
    }

    private func refusal(_ reason: String) -> String {
        #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"error","response":{"reason":"\#(reason)"}},"ref":"1"}"#
    }

    private func ended(_ message: String) -> [String] {
        [
            #"a: {"topic":"realtime:r","event":"system","payload":{"extension":"system","status":"error","message":"\#(message)","channel":"r"},"ref":null}"#,
            #"a: {"topic":"realtime:r","event":"phx_close","payload":{},"ref":"1"}"#,
        ]
    }

    private let joined =
        #"a: {"topic":"realtime:r","event":"phx_reply","payload":{"status":"ok","response":{"postgres_changes":[]}},"ref":"1"}"#

    @Test("Bad tokens in the words of RT-21; absent and opaque ones leave the connection's key")
    func joins() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        await join("nonsense")
        await join("a.b.c")
        let good = try token()
        await join(String(good.dropLast(6)) + "AAAAAA")
        await join(try token(life: -100))
        await join(try token(life: -5))
        await join(try HubFixture.token(["role": "authenticated", "sub": "u"]))
        await join(try HubFixture.token(["sub": "u", "exp": .integer(HubFixture.start + 9)]))
        #expect(
            await fixture.received() == [
                refusal("MalformedJWT: The token provided is not a valid JWT"),
                refusal("MalformedJWT: The token provided is not a valid JWT"),
                refusal("JwtSignatureError: Failed to validate JWT signature"),
                refusal("InvalidJWTToken: Token has expired 100 seconds ago"),
                refusal("InvalidJWTToken: Token has expired 5 seconds ago"),
                refusal("InvalidJWTToken: Fields `role` and `exp` are required in JWT"),
                refusal("InvalidJWTToken: Fields `role` and `exp` are required in JWT"),
            ])
        for token in [good, nil, "sb_publishable_x"] {
            await fixture.send([.closed(socket: "a")])
            await fixture.open("a", .one)
            await join(token)
            #expect(await fixture.received() == [joined])
        }
        fixture.end()
    }

    @Test("A token ends its channel and no other, within a second or two")
    func expiry() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        await join(try token(life: 30))
        await join(nil, topic: "realtime:other")
        _ = await fixture.received()
        await fixture.advance(.seconds(29))
        #expect(await fixture.received().isEmpty)
        await fixture.advance(.seconds(1))
        #expect(await fixture.received() == ended("Token has expired 0 seconds ago"))
        await fixture.text("a", #"{"topic":"realtime:other","event":"phx_leave","payload":{},"ref":"2"}"#)
        #expect(await fixture.received().count == 2)
        fixture.end()
    }

    @Test("A new token in time keeps the channel; there is no reply")
    func refresh() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        let first = try token(life: 30)
        await join(first)
        _ = await fixture.received()
        for token in [first, "sb_secret_x", try token(life: 70)] {
            await fixture.text(
                "a", #"{"topic":"realtime:r","event":"access_token","payload":{"access_token":"\#(token)"},"ref":"2"}"#)
        }
        await fixture.text(
            "a", #"{"topic":"realtime:r","event":"access_token","payload":{"access_token":null},"ref":"2"}"#)
        #expect(await fixture.received().isEmpty)
        await fixture.advance(.seconds(40))
        _ = await fixture.received()
        await fixture.text("a", #"{"topic":"realtime:r","event":"broadcast","payload":{"event":"e"},"ref":"3"}"#)
        #expect(await fixture.received().isEmpty)
        await fixture.advance(.seconds(10))
        await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"4"}"#)
        _ = await fixture.received()
        await fixture.advance(.seconds(20))
        #expect(await fixture.received() == ended("Token has expired 0 seconds ago"))
        fixture.end()
    }

    @Test("A bad new token ends the channel")
    func badRefresh() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        await join(nil)
        _ = await fixture.received()
        await fixture.text(
            "a", #"{"topic":"realtime:r","event":"access_token","payload":{"access_token":"x"},"ref":"2"}"#)
        #expect(await fixture.received() == ended("The token provided is not a valid JWT"))
        fixture.end()
    }

    @Test("A private channel is lost with the right to it")
    func lostRight() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        await join(try token("service_role"), #"{"private":true}"#)
        #expect(await fixture.received() == [joined])
        await fixture.text(
            "a",
            #"{"topic":"realtime:r","event":"access_token","payload":{"access_token":"\#(try token())"},"ref":"2"}"#)
        #expect(
            await fixture.received() == ended("You no longer have permission to read from this Channel topic: r"))
        fixture.end()
    }

    @Test("A token by an unknown key waits for the keys; other topics and the heartbeat do not wait")
    func unknownKey() async throws {
        // ES256 under a key that nobody published.
        let unknown = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5ldyJ9.e30." + String(repeating: "A", count: 86)
        await fixture.begin()
        await fixture.open("a", .one)
        await join(unknown)
        #expect(await fixture.received().isEmpty && fixture.keysAsked == 1)
        await fixture.text("a", #"{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"2"}"#)
        #expect(await fixture.received().count == 1)
        await fixture.hub.keysRefreshed(true)
        #expect(await fixture.received() == [refusal("JwtSignatureError: Failed to validate JWT signature")])

        await join(unknown)
        await fixture.hub.keysRefreshed(false)
        #expect(
            await fixture.received() == [refusal("UnableToConnectToProject: The signing keys cannot be had yet")])

        await join(unknown)
        await fixture.text("a", #"{"topic":"realtime:r","event":"phx_leave","payload":{},"ref":"3"}"#)
        _ = await fixture.received()
        await fixture.hub.keysRefreshed(true)
        #expect(await fixture.received().isEmpty)
        fixture.end()
    }
}

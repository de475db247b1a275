// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletServiceKit
import Synchronization
import Testing

@testable import MartletAccessTokens
@testable import MartletNotification

/// A hub as one edge sees it, at a time that the test says.
final class HubFixture: Sendable {
    static let secret = "a-secret-for-tests-that-is-long-enough"
    /// Unix seconds at the beginning.
    static let start: Int64 = 1_800_000_000

    let hub: Hub
    let registry = MetricsRegistry()
    private let sequence = Mutex<UInt64>(0)
    private let acknowledged = Mutex<UInt64>(0)

    init(limits: HubLimits = HubLimits()) throws {
        let begin = ContinuousClock.now
        let box = Box()
        hub = Hub(
            limits: limits,
            clock: HubClock(
                now: { begin + box.passed.withLock { $0 } },
                unixSeconds: { Self.start + box.passed.withLock { $0 }.components.seconds }),
            verifier: try TokenVerifier(legacySecret: Self.secret), metrics: HubMetrics(registry), thread: HubThread(),
            instancePrefix: "t", askForKeys: { box.asked.withLock { $0 += 1 } }, wakeFeed: {})
        self.box = box
    }

    private final class Box: Sendable {
        let passed = Mutex(Duration.zero)
        let asked = Mutex(0)
    }

    private let box: Box

    var keysAsked: Int { box.asked.withLock { $0 } }

    /// Lets time pass, in steps within which the edge asks as it should.
    func advance(_ time: Duration, asking: Bool = true) async {
        var left = time
        while left > .zero {
            let step = min(left, .seconds(10))
            left -= step
            box.passed.withLock { $0 += step }
            if asking {
                // What it gets it does not acknowledge, so that `received` still sees it.
                let number = acknowledged.withLock { $0 }
                _ = await hub.receive(session: "edge", acknowledged: number, wait: .zero, begins: false)
            }
            await hub.tick()
        }
    }

    /// Lets time pass before the hub looks at it.
    func passUnnoticed(_ time: Duration) { box.passed.withLock { $0 += time } }

    /// Begins the session.
    func begin() async {
        let delivery = await hub.receive(session: "edge", acknowledged: 0, wait: .zero, begins: true)
        #expect(delivery == Delivery())
    }

    func open(
        _ socket: String, _ serializer: Serializer, role: String = "anon", token: String = "", expiresAt: Int64? = nil
    ) async {
        await send([
            .opened(
                socket: socket, serializer: serializer,
                grant: Grant(role: role, claims: #"{"role":"\#(role)"}"#, token: token, expiresAt: expiresAt))
        ])
    }

    func send(_ items: [Incoming]) async {
        let number = sequence.withLock { sequence in
            sequence += 1
            return sequence
        }
        #expect(await hub.send(session: "edge", sequence: number, items))
    }

    func text(_ socket: String, _ text: String) async {
        await send([.frame(socket: socket, isBinary: false, bytes: Array(text.utf8))])
    }

    func binary(_ socket: String, _ bytes: [UInt8]) async {
        await send([.frame(socket: socket, isBinary: true, bytes: bytes)])
    }

    /// Everything that is there for the edge now, as `socket: what`, in order.
    func received() async -> [String] {
        var lines: [String] = []
        while true {
            let number = acknowledged.withLock { $0 }
            let delivery = await hub.receive(session: "edge", acknowledged: number, wait: .zero, begins: false)
            #expect(!delivery.isUnknownSession)
            if delivery.sequence == number { return lines }
            acknowledged.withLock { $0 = delivery.sequence }
            for item in delivery.items {
                let what =
                    switch item.content {
                    case .text(let bytes): String(decoding: bytes, as: UTF8.self)
                    case .binary(let bytes): Self.shown(bytes)
                    case .close(let code, let reason): "close \(code) \(reason)"
                    }
                for socket in item.sockets { lines.append("\(socket): \(what)") }
            }
        }
    }

    /// What one socket is sent.
    func received(_ socket: String) async -> [String] {
        await received().compactMap { $0.hasPrefix("\(socket): ") ? String($0.dropFirst(socket.count + 2)) : nil }
    }

    /// Joins on the first serializer (`{…}`) or the second (`[…]`) and forgets the answers.
    func joined(_ socket: String, _ serializer: Serializer, _ topic: String, _ config: String = "{}") async {
        switch serializer {
        case .one:
            let payload = #"{"config":\#(config)}"#
            await text(
                socket, #"{"topic":"\#(topic)","event":"phx_join","payload":\#(payload),"ref":"1","join_ref":"1"}"#)
        case .two: await text(socket, #"["1","1","\#(topic)","phx_join",{"config":\#(config)}]"#)
        }
        _ = await received()
    }

    /// Bytes with what is printable as text: `<4><6>room-1…`.
    static func shown(_ bytes: [UInt8]) -> String {
        bytes.map { (0x20..<0x7F).contains($0) ? String(UnicodeScalar($0)) : "<\($0)>" }.joined()
    }

    /// A token under the legacy secret.
    static func token(_ claims: JSONObject) throws -> String { try HMACSecret(secret).sign(claims: claims) }

    func end() { hub.thread.end() }
}

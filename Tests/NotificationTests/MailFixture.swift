// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MartletAccessTokens
import MartletDatabase
import MartletJSON
import MartletSMTP
import MartletServiceKit
import MartletTestKit
import Synchronization
import Testing

@testable import MartletNotification

/// Deliveries on a fresh database, a clock that the test sets, and a server that answers what the test says.
struct MailFixture: Sendable {
    static let engines = TestDatabase.engines
    static let start: Int64 = 1_800_000_000_000_000

    let database: Database
    let store: MailStore
    let desk: MailDesk
    let deliverer: MailDeliverer
    let transport: FakeTransport
    let metrics: MailMetrics
    let clock: MicrosecondClock

    static func with<Result>(
        _ engine: DatabaseEngine, templates: MailTemplateSet? = nil, _ body: (MailFixture) async throws -> Result
    ) async throws -> Result {
        try await TestDatabase.with(engine) { database in
            let store = MailStore(database: database, keys: EncryptionKeys())
            try await store.prepare()
            let (clock, transport) = (MicrosecondClock(), FakeTransport())
            let set = try templates ?? MailTemplateSet(project: nil)
            let metrics = MailMetrics(MetricsRegistry())
            let sender = MailMessage.Sender(address: try #require(MailAddress("shop@example.com")), name: "The Shop")
            let fixture = MailFixture(
                database: database, store: store,
                desk: MailDesk(store: store, templates: { set }, domain: "example.com", clock: { clock.now }),
                deliverer: MailDeliverer(
                    store: store, transport: transport, sender: sender, width: 2, timeout: .seconds(20),
                    metrics: metrics, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
                    clock: { clock.now }),
                transport: transport, metrics: metrics, clock: clock)
            return try await body(fixture)
        }
    }

    /// Another deliverer of the same rows.
    func deliverer(of store: MailStore) -> MailDeliverer {
        MailDeliverer(
            store: store, transport: transport, sender: deliverer.sender, width: 1, timeout: deliverer.timeout,
            metrics: metrics, logger: deliverer.logger, clock: { clock.now })
    }

    @discardableResult
    func accept(_ to: String = "ada@example.org", key: String = "k1") async throws -> MailStore.Accepted {
        try await desk.accept(
            MailDesk.Order(to: to, subject: "Hello", text: "The words of the mail"), senderKey: key)
    }

    /// Delivers until nothing is due any more.
    func deliverAll() async throws {
        while try await deliverer.deliverOne() {}
    }

    /// One column of the only delivery.
    func column(_ name: String) async throws -> SQLValue {
        try await database.read { try $0.query("select \(name) from deliveries").first?[0] ?? .null }
    }
}

/// The wall clock of a test, in microseconds.
final class MicrosecondClock: Sendable {
    private let state = Mutex((time: MailFixture.start, looks: 0))

    var now: Int64 {
        state.withLock { state in
            state.looks += 1
            return state.time
        }
    }
    /// How often somebody looked at it.
    var looks: Int { state.withLock { $0.looks } }
    func advance(by duration: Duration) { state.withLock { $0.time += duration.microseconds } }
}

/// A server that takes everything, unless it was told otherwise.
final class FakeTransport: MailTransport {
    private let outcomes = Mutex<[SMTPOutcome]>([])
    private let list = Mutex<[MailMessage]>([])
    private let during = Mutex<(@Sendable () async throws -> Void)?>(nil)

    /// What was attempted, in order.
    var attempts: [MailMessage] { list.withLock { $0 } }

    /// The outcomes of the next attempts.
    func answer(_ next: SMTPOutcome...) { outcomes.withLock { $0 += next } }

    /// Runs while the next mail is under way.
    func during(_ body: @escaping @Sendable () async throws -> Void) { self.during.withLock { $0 = body } }

    func send(_ message: MailMessage) async -> SMTPOutcome {
        list.withLock { $0.append(message) }
        let body = during.withLock { body in
            defer { body = nil }
            return body
        }
        do { try await body?() } catch { Issue.record(error) }
        return outcomes.withLock { $0.isEmpty ? .accepted : $0.removeFirst() }
    }

    func stop() {}
    func close() async {}
}

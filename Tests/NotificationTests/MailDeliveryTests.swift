// SPDX-License-Identifier: Apache-2.0

import MartletAccessTokens
import MartletDatabase
import MartletJSON
import MartletSMTP
import MartletServiceKit
import Testing

@testable import MartletNotification

@Suite("Notification: deliveries", .timeLimit(.minutes(1)))
struct MailDeliveryTests {
    @Test("An accepted mail reaches the server once, and its words are forgotten", arguments: MailFixture.engines)
    func delivers(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            let accepted = try await mail.accept()
            let sealed = try #require(try await mail.column("content").textValue)
            #expect(!sealed.contains("words"))
            try await mail.deliverAll()
            let sent = try #require(mail.transport.attempts.first)
            #expect(mail.transport.attempts.count == 1)
            #expect(sent.to.text == "ada@example.org")
            #expect(sent.content.text == "The words of the mail")
            #expect(sent.messageID == accepted.messageID)
            #expect(try await mail.column("state") == .text("sent"))
            #expect(try await mail.column("content").isNull)
        }
    }

    @Test(
        "A repeated request is the same mail; the same key with another mail is refused", arguments: MailFixture.engines
    )
    func repeats(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            let first = try await mail.accept()
            let again = try await mail.accept()
            #expect(again.id == first.id && again.isRepeat)
            try await mail.deliverAll()
            #expect(try await mail.accept().id == first.id)
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 1)
            await #expect(throws: MailRefusal.keyReused) { try await mail.accept("bob@example.org") }
        }
    }

    @Test("What fails for now is tried again after a pause, with the same Message-ID", arguments: MailFixture.engines)
    func triesAgain(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            mail.transport.answer(.failed("451 later"), .failed("no connection"))
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 1)
            #expect(try await mail.column("state") == .text("queued"))
            #expect(try await mail.column("last_error") == .text("451 later"))
            mail.clock.advance(by: MailLimits.pauses[0])
            try await mail.deliverAll()
            mail.clock.advance(by: MailLimits.pauses[1])
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 3)
            #expect(Set(mail.transport.attempts.map(\.messageID)).count == 1)
            #expect(Set(mail.transport.attempts.map(\.bytes)).count == 1)
            #expect(try await mail.column("state") == .text("sent"))
            #expect(mail.metrics.failures.value == 2)
        }
    }

    @Test("What the server refuses for ever is dead, and another mail is not", arguments: MailFixture.engines)
    func refused(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            mail.transport.answer(.refused("550 no such mailbox"))
            try await mail.deliverAll()
            #expect(try await mail.column("state") == .text("dead"))
            #expect(try await mail.column("last_error") == .text("550 no such mailbox"))
            try await mail.accept(key: "k2")
            try await mail.deliverAll()
            #expect(mail.metrics.sent.value == 1)
            #expect(mail.metrics.dead.value == 1)
        }
    }

    @Test("What was given up is listed and can be sent again, with a day of patience", arguments: MailFixture.engines)
    func retries(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            let accepted = try await mail.accept()
            mail.transport.answer(.refused("550 no such mailbox"))
            try await mail.deliverAll()
            try await mail.accept("bob@example.org", key: "k2")
            let dead = try await mail.store.deliveries(state: "dead", limit: 10)
            #expect(dead.map(\.id) == [accepted.id])
            #expect(dead.first?.lastError == "550 no such mailbox" && dead.first?.recipient == "ada@example.org")
            #expect(try await mail.store.deliveries(state: nil, limit: 10).count == 2)
            #expect(try await mail.store.deliveries(state: nil, limit: 1).count == 1)

            // Days later: a failure for now does not end it at once.
            mail.clock.advance(by: .seconds(3 * 86_400))
            #expect(try await mail.store.retry("none", now: mail.clock.now) == .unknown)
            guard case .due(let due) = try await mail.store.retry(accepted.id, now: mail.clock.now) else {
                return #expect(Bool(false), "It is not due")
            }
            #expect(due.state == "queued" && due.attempts == 0 && due.messageID == accepted.messageID)
            mail.transport.answer(.accepted, .failed("no connection"))
            try await mail.deliverAll()
            #expect(try await mail.store.deliveries(state: "dead", limit: 10).isEmpty)
            mail.clock.advance(by: .seconds(60))
            try await mail.deliverAll()
            let sent = try await mail.store.deliveries(state: "sent", limit: 10)
            #expect(sent.count == 2)
            #expect(mail.transport.attempts.filter { $0.messageID == accepted.messageID }.count >= 2)
            guard case .refused = try await mail.store.retry(accepted.id, now: mail.clock.now) else {
                return #expect(Bool(false), "It was sent twice")
            }
        }
    }

    @Test("A mail is given up after a day of failures", arguments: MailFixture.engines)
    func givesUp(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            for _ in 0..<40 {
                mail.transport.answer(.failed("no connection"))
                try await mail.deliverAll()
                mail.clock.advance(by: .seconds(3_600))
            }
            #expect(try await mail.column("state") == .text("dead"))
            #expect(mail.transport.attempts.count < 30)
            #expect(mail.clock.now - MailFixture.start > MailLimits.patience.microseconds)
        }
    }

    @Test(
        "An attempt that never ended is taken over after its lease, and counted as unknown",
        arguments: MailFixture.engines)
    func takesOver(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            let now = mail.clock.now
            let lost = try #require(try await mail.store.lease(now: now, until: now + 30_000_000))
            try await mail.deliverAll()
            #expect(mail.transport.attempts.isEmpty, "it is leased to somebody else")
            mail.clock.advance(by: .seconds(31))
            try await mail.deliverAll()
            #expect(mail.transport.attempts.map(\.messageID) == [lost.messageID])
            #expect(mail.metrics.unknownOutcomes.value == 1)
            #expect(try await mail.column("unknown_outcomes").integerValue == 1)
            // Whoever held the old lease has no say any more.
            #expect(try await !mail.store.finish(lost, .dead("late"), now: mail.clock.now))
            #expect(try await mail.column("state") == .text("sent"))
        }
    }

    @Test(
        "A connection that dies after the mail's last byte is unknown, and the mail is repeated",
        arguments: MailFixture.engines)
    func unknown(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            mail.transport.answer(.unknown("connection lost"))
            try await mail.deliverAll()
            #expect(mail.metrics.unknownOutcomes.value == 1)
            mail.clock.advance(by: MailLimits.pauses[0])
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 2)
            #expect(Set(mail.transport.attempts.map(\.messageID)).count == 1)
        }
    }

    @Test("What the server took is not sent again because the database was away", arguments: MailFixture.engines)
    func settles(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            let database = mail.database
            try await withThrowingTaskGroup(of: Void.self) { group in
                let (taken, isTaken) = AsyncStream.makeStream(of: Void.self)
                mail.transport.during {
                    try await database.write { try $0.executeScript("alter table deliveries rename to away") }
                    isTaken.finish()
                }
                group.addTask {
                    for await _ in taken {}
                    try await Task.sleep(for: .milliseconds(400))
                    try await database.write { try $0.executeScript("alter table away rename to deliveries") }
                }
                group.addTask { _ = try await mail.deliverer.deliverOne() }
                try await group.waitForAll()
            }
            #expect(try await mail.column("state") == .text("sent"))
            mail.clock.advance(by: .seconds(3_600))
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 1)
        }
    }

    @Test("A mail that no key opens waits for the key and is not thrown away", arguments: MailFixture.engines)
    func sealed(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            let other = mail.deliverer(of: MailStore(database: mail.database, keys: EncryptionKeys()))
            #expect(try await other.deliverOne())
            #expect(try await mail.column("state") == .text("queued"))
            #expect(mail.metrics.failures.value == 1)
            #expect(mail.transport.attempts.isEmpty)
            mail.clock.advance(by: MailLimits.pauses[0])
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 1)
            #expect(try await mail.column("state") == .text("sent"))
        }
    }

    @Test("While an attempt is under way nobody else attempts it", arguments: MailFixture.engines)
    func leases(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            mail.transport.during {
                let hasAttempted = try await mail.deliverer.deliverOne()
                #expect(!hasAttempted)
            }
            try await mail.deliverAll()
            #expect(mail.transport.attempts.count == 1)
        }
    }

    @Test("More mails than may wait are refused, and those that wait stay", arguments: MailFixture.engines)
    func isBounded(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            let most = MailLimits.waitingMax
            try await mail.database.write { session in
                try session.execute(
                    """
                    with recursive n(i) as (select 1 union all select i + 1 from n where i < \(most)) \
                    insert into deliveries (id, sender_key, request_hash, template, recipient, message_id, state, \
                    attempts, due_at, fence, unknown_outcomes, created_at) select 'd' || i, 'x' || i, '', '', '', '', \
                    'queued', 0, 0, 0, 0, 0 from n
                    """)
            }
            await #expect(throws: MailRefusal.full) { try await mail.accept() }
            #expect(try await mail.store.counts().waiting == most)
        }
    }

    @Test("What has ended is forgotten after its time, what waits never is", arguments: MailFixture.engines)
    func forgets(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            try await mail.accept()
            try await mail.deliverAll()
            try await mail.accept(key: "k2")
            mail.clock.advance(by: .seconds(100))
            try await mail.store.forget(before: mail.clock.now - 200_000_000)
            #expect(try await mail.database.read { try $0.query("select 1 from deliveries").count } == 2)
            try await mail.store.forget(before: mail.clock.now)
            #expect(try await mail.column("sender_key") == .text("k2"))
        }
    }

    @Test("A running deliverer wakes for a new mail, and ends when it is told to", arguments: MailFixture.engines)
    func runs(engine: DatabaseEngine) async throws {
        try await MailFixture.with(engine) { mail in
            let (sent, signal) = AsyncStream.makeStream(of: Void.self)
            let running = Task { await mail.deliverer.run() }
            mail.transport.during { signal.yield() }
            try await mail.accept()
            mail.deliverer.wake()
            for await _ in sent { break }
            while try await mail.column("state") != .text("sent") { try await Task.sleep(for: .milliseconds(5)) }
            // Nothing is due any more: each of the two looks once for each wake-up, and then sleeps.
            try await Task.sleep(for: .milliseconds(300))
            #expect(mail.clock.looks < 20)
            running.cancel()
            await running.value
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletSMTP
internal import MartletServiceKit
internal import MartletTracing
internal import MartletWire

/// Sends what is due, several at once, each attempt under a lease that is written down first (D38).
///
/// A mail is repeated only when nobody knows whether the server has it: the process died, or the connection did, between
/// the mail's last byte and our commit. Its Message-ID stays the same.
struct MailDeliverer: Sendable {
    /// Pause after a failure of the database.
    private static let storePause = Duration.seconds(1)
    /// Pause between attempts to write down how a delivery ended.
    private static let settlePause = Duration.milliseconds(250)
    /// Longest sleep, so that an event that got lost costs no more.
    private static let sleepMax = Duration.seconds(30)

    let store: MailStore
    let transport: any MailTransport
    let sender: MailMessage.Sender
    /// Deliveries at once.
    let width: Int
    /// Longest delivery.
    let timeout: Duration
    let metrics: MailMetrics
    let logger: Logger
    let tracer: Tracer
    /// Microseconds since 1970 UTC.
    let clock: @Sendable () -> Int64
    private let wakes: [AsyncStream<Void>]
    private let wakeups: [AsyncStream<Void>.Continuation]

    init(
        store: MailStore, transport: any MailTransport, sender: MailMessage.Sender, width: Int, timeout: Duration,
        metrics: MailMetrics, logger: Logger, tracer: Tracer = .off, clock: @escaping @Sendable () -> Int64
    ) {
        self.store = store
        self.transport = transport
        self.sender = sender
        self.width = width
        self.timeout = timeout
        self.metrics = metrics
        self.logger = logger
        self.tracer = tracer
        self.clock = clock
        let streams = (0..<width).map { _ in
            AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        }
        wakes = streams.map(\.stream)
        wakeups = streams.map(\.continuation)
    }

    /// Something new is due.
    func wake() { for wakeup in wakeups { wakeup.yield() } }

    /// Until its task is cancelled; an attempt that has begun is finished and written down.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for (position, stream) in wakes.enumerated() {
                group.addTask { await runOne(stream, wakeups[position]) }
            }
        }
    }

    private func runOne(_ stream: AsyncStream<Void>, _ wakeup: AsyncStream<Void>.Continuation) async {
        var iterator = stream.makeAsyncIterator()
        while !Task.isCancelled {
            let pause: Duration
            do {
                if try await deliverOne() { continue }
                let wait = try await store.nextDue().map { Duration.microseconds($0 - clock()) } ?? Self.sleepMax
                pause = min(max(wait, .milliseconds(10)), Self.sleepMax)
            } catch {
                if Task.isCancelled { return }
                logger.warning("The deliveries cannot be read.", metadata: ["error.detail": "\(error)"])
                pause = Self.storePause
            }
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Once it was woken otherwise, a wake-up of its own would have it look again for ever.
                    do { try await Task.sleep(for: pause) } catch { return }
                    wakeup.yield()
                }
                _ = await iterator.next()
                group.cancelAll()
            }
        }
    }

    /// Attempts what is due longest. False when nothing is.
    func deliverOne() async throws -> Bool {
        let now = clock()
        let until = now + (timeout + MailLimits.leaseMargin).microseconds
        guard let lease = try await store.lease(now: now, until: until) else { return false }
        if lease.isTakenOver { metrics.unknownOutcomes.increment() }
        guard let recipient = MailAddress(lease.recipient) else {
            _ = try await store.finish(lease, .dead("the recipient is no address"), now: clock())
            return true
        }
        guard let content = lease.content else {
            // The key may come back; what was accepted is not thrown away before its time.
            let outcome = SMTPOutcome.failed("the key that sealed it is not in keys/encryption")
            let ending = Self.ending(of: lease, outcome, now: now)
            note(lease, outcome, ending, isOurs: try await store.finish(lease, ending, now: now))
            return true
        }
        let message = MailMessage(
            id: lease.id, messageID: lease.messageID, from: sender, to: recipient, content: content,
            date: lease.createdAt / 1_000_000, requestID: lease.trace.requestID)
        // Cancelling must not cut an attempt off between the server's word and ours.
        let (transport, store, clock) = (transport, store, clock)
        let ended = Task { () async throws -> (SMTPOutcome, MailStore.Ending, Bool) in
            #if MUTANT_MAIL_SENT_BEFORE_ACCEPTED
                _ = try await store.finish(lease, .sent, now: clock())
            #endif
            let span = tracer.begin("send mail", .client, in: lease.trace)
            let outcome = await transport.send(message)
            end(span, lease, outcome)
            let now = clock()
            let ending = Self.ending(of: lease, outcome, now: now)
            return (outcome, ending, try await Self.settle(lease, ending, in: store, until: until, clock))
        }
        // Awaited on the spot.
        let (outcome, ending, isOurs) = try await ended.value
        note(lease, outcome, ending, isOurs: isOurs)
        return true
    }

    /// Writes down how an attempt ended, for as long as the lease holds: what the server has taken must not go out a
    /// second time because the database was away for a moment (D38).
    private static func settle(
        _ lease: MailStore.Lease, _ ending: MailStore.Ending, in store: MailStore, until: Int64,
        _ clock: @Sendable () -> Int64
    ) async throws -> Bool {
        while true {
            do { return try await store.finish(lease, ending, now: clock()) } catch {
                guard clock() < until else { throw error }
                try? await Task.sleep(for: settlePause)
            }
        }
    }

    /// What an outcome means for the delivery.
    static func ending(of lease: MailStore.Lease, _ outcome: SMTPOutcome, now: Int64) -> MailStore.Ending {
        switch outcome {
        case .accepted: return .sent
        case .refused(let reason): return .dead(String(reason.prefix(MailLimits.errorBytesMax)))
        case .failed(let reason), .unknown(let reason):
            let pauses = MailLimits.pauses
            let pause = pauses[min(max(Int(lease.attempts) - 1, 0), pauses.count - 1)]
            let next = now + (pause * Double.random(in: 0.5...1)).microseconds
            let words = String(reason.prefix(MailLimits.errorBytesMax))
            guard next - lease.triedFrom <= MailLimits.patience.microseconds else { return .dead(words) }
            if case .unknown = outcome { return .again(at: next, words, isUnknown: true) }
            return .again(at: next, words, isUnknown: false)
        }
    }

    /// Nothing of the recipient, nor of what the server said of it.
    private func end(_ span: Span, _ lease: MailStore.Lease, _ outcome: SMTPOutcome) {
        let error: String? =
            switch outcome {
            case .accepted: nil
            case .refused: "refused"
            case .failed: "failed"
            case .unknown: "unknown"
            }
        span.end(error: error) { attributes in
            attributes.set(.messagingSystem, "smtp")
            attributes.set(.messagingOperation, "send")
            attributes.set(.messagingOperationType, "send")
            attributes.set(.messagingMessage, lease.id)
            attributes.set(.attempt, Int(lease.attempts))
        }
    }

    private func note(_ lease: MailStore.Lease, _ outcome: SMTPOutcome, _ ending: MailStore.Ending, isOurs: Bool) {
        // The recipient is a person: it stands in the row, not in the log.
        var line: Logger.Metadata = ["mail.id": "\(lease.id)", "mail.attempt": "\(lease.attempts)"]
        let logger = logger.with(lease.trace)
        if !isOurs { logger.warning("A delivery took longer than its lease.", metadata: line) }
        if case .unknown = outcome { metrics.unknownOutcomes.increment() }
        switch ending {
        case .sent:
            metrics.sent.increment()
            logger.info("A mail was delivered.", metadata: line)
        case .dead(let reason):
            metrics.dead.increment()
            line["error.detail"] = "\(reason)"
            logger.error("A mail cannot be delivered.", metadata: line)
        case .again(_, let reason, _):
            metrics.failures.increment()
            line["error.detail"] = "\(reason)"
            logger.warning("A mail could not be delivered yet.", metadata: line)
        }
    }
}

extension Duration {
    /// Whole microseconds.
    var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}

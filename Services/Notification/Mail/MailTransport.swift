// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletSMTP

/// Who takes mails off our hands.
protocol MailTransport: Sendable {
    /// Delivers one mail. Returns within the time that the lease allows for.
    func send(_ message: MailMessage) async -> SMTPOutcome
    /// Leaves attempts that can be left without doubt about their outcome.
    func stop()
    /// Ends; nothing is sent any more.
    func close() async
}

/// Deliveries on threads of their own, because they block: at most so many at once.
final class MailThreads: MailTransport {
    private struct Job: Sendable {
        let message: MailMessage
        let answer: CheckedContinuation<SMTPOutcome, Never>
    }

    private let queue: JobQueue<Job>
    private let threads: [WorkerThread]
    private let stopping = SMTPStop()

    /// - Parameter make: makes what delivers one mail after the other, on each thread once.
    init(_ count: Int, make: @escaping @Sendable (SMTPStop) -> (MailMessage) -> SMTPOutcome) {
        // Nobody waits here: the deliverer sends as many at once as there are threads.
        let queue = JobQueue<Job>(capacity: count)
        let stopping = stopping
        self.queue = queue
        threads = (0..<count).map { _ in
            WorkerThread {
                let deliver = make(stopping)
                while let job = queue.pop() { job.answer.resume(returning: deliver(job.message)) }
            }
        }
    }

    /// To an SMTP server; each thread keeps its connection.
    convenience init(_ server: SMTPServer, connections: Int) {
        self.init(connections) { stop in
            let connection = SMTPConnection(server, stop: stop)
            return { message in
                connection?.send(from: message.from.address.text, to: message.to.text, message: message.bytes)
                    ?? .failed("libcurl cannot be used")
            }
        }
    }

    /// Into files.
    convenience init(_ catcher: MailCatcher) {
        self.init(1) { _ in { catcher.take($0) } }
    }

    func send(_ message: MailMessage) async -> SMTPOutcome {
        await withCheckedContinuation { continuation in
            if queue.push(Job(message: message, answer: continuation)) != .accepted {
                continuation.resume(returning: .failed("the deliveries are stopping"))
            }
        }
    }

    func stop() { stopping.set() }

    func close() async {
        stop()
        queue.close()
        for thread in threads { await thread.wait() }
    }
}

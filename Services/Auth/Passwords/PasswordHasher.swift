// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

/// Hashes and checks passwords on threads of its own: at most so many at once, so that memory is bounded by
/// threads × memory of one hash, and never on Swift's cooperative threads (18.1 of the auth contract).
package final class PasswordHasher: Sendable {
    private struct Job: Sendable {
        let enqueued: ContinuousClock.Instant
        let run: @Sendable () -> Void
        let refuse: @Sendable () -> Void
    }

    /// More waiting work than this is refused.
    package static let waitingMax = 256
    /// Work that waited longer than this is refused: its caller is about to give up.
    package static let ageMax: Duration = .seconds(5)

    package let parameters: Argon2id
    private let queue = JobQueue<Job>(capacity: PasswordHasher.waitingMax)
    private let threads: [WorkerThread]
    /// The hash of a password that nobody knows: checked where there is no user, at the same cost.
    private let decoy: String

    /// - Parameter threads: hashes at once, 1…64.
    /// - Throws: `AuthError.overloaded` when not even one hash can be made.
    package init(parameters: Argon2id, threads: Int) throws(AuthError) {
        guard let decoy = parameters.hash(RandomBytes.make(32)) else { throw .overloaded }
        self.parameters = parameters
        self.decoy = decoy
        let queue = queue
        self.threads = (0..<threads).map { _ in
            WorkerThread {
                while let job = queue.pop() {
                    if ContinuousClock.now - job.enqueued > Self.ageMax { job.refuse() } else { job.run() }
                }
            }
        }
    }

    /// A new hash of `password`.
    ///
    /// - Throws: `overloaded` (503) when too much waits or memory is short.
    package func hash(_ password: Password) async throws(AuthError) -> String {
        let parameters = parameters
        guard let hash = try await onThread({ parameters.hash(password.bytes) }) else { throw .overloaded }
        return hash
    }

    /// Whether `password` belongs to `hash`. Without a hash, or with a password that is too long to be anybody's,
    /// the answer is no, after the same work.
    package func matches(_ password: Password?, _ hash: String?) async throws(AuthError) -> Bool {
        #if MUTANT_AUTH_DECOY_SKIPPED
            guard hash != nil else { return false }
        #endif
        let encoded = hash ?? decoy
        let isPossible = password != nil && hash != nil
        let bytes = password?.bytes ?? []
        let isRight = try await onThread {
            encoded.hasPrefix("$2") ? Bcrypt.matches(bytes, encoded) : Argon2id.matches(bytes, encoded)
        }
        return isRight && isPossible
    }

    /// Whether a hash should be made anew, because it has other parameters than those in force.
    package func isOutdated(_ hash: String) -> Bool {
        Argon2id.parameters(of: hash) != parameters || !hash.hasPrefix("$argon2id$")
    }

    /// Work that waits for a thread.
    package var waiting: Int { queue.waiting }

    /// Finishes what waits, then ends the threads.
    package func close() async {
        queue.close()
        for thread in threads { await thread.wait() }
    }

    private func onThread<Result: Sendable>(
        _ body: @escaping @Sendable () -> Result
    ) async throws(AuthError) -> Result {
        let result: Result? = await withCheckedContinuation { continuation in
            let job = Job(
                enqueued: .now, run: { continuation.resume(returning: body()) },
                refuse: { continuation.resume(returning: nil) })
            if queue.push(job) != .accepted { job.refuse() }
        }
        guard let result else { throw .overloaded }
        return result
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Lets one task at a time work on one key, in order of arrival.
actor KeyedGate {
    /// Those who wait, by key; an entry stands for as long as somebody is inside.
    private var waiters: [String: [CheckedContinuation<Void, Never>]] = [:]

    /// Runs `body` while nobody else is inside with the same key.
    nonisolated func with<Result: Sendable>(
        _ key: String, _ body: () async throws(AuthError) -> Result
    ) async throws(AuthError) -> Result {
        await enter(key)
        do throws(AuthError) {
            let result = try await body()
            await leave(key)
            return result
        } catch {
            await leave(key)
            throw error
        }
    }

    private func enter(_ key: String) async {
        guard waiters[key] != nil else {
            waiters[key] = []
            return
        }
        await withCheckedContinuation { waiters[key]?.append($0) }
    }

    private func leave(_ key: String) {
        guard var waiting = waiters[key], !waiting.isEmpty else {
            waiters[key] = nil
            return
        }
        let next = waiting.removeFirst()
        waiters[key] = waiting
        next.resume()
    }
}

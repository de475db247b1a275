// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletAccessTokens
internal import MartletBus
internal import MartletJSON
internal import MartletWire

/// The keys that the auth service signs with, and the name it signs as.
struct PublishedKeys: Sendable {
    let jwks: JSONValue
    let issuer: String
}

/// Keeps the verifier's keys those of the auth service: asks until it has them, then now and again, and at once for a
/// token signed by a key that is not known (AU-601), at most once a second.
actor KeyRefresher {
    static let interval = Duration.seconds(60)
    static let retryInterval = Duration.milliseconds(250)
    static let unknownKeyInterval = Duration.seconds(1)

    private let ask: @Sendable () async throws -> PublishedKeys
    private let now: @Sendable () -> ContinuousClock.Instant
    private let verifier: TokenVerifier
    private let logger: Logger
    /// When the keys were last had.
    private var last: ContinuousClock.Instant?
    private var running: Task<Bool, Never>?

    /// - Parameter ask: asks the auth service.
    init(
        verifier: TokenVerifier, logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        ask: @escaping @Sendable () async throws -> PublishedKeys
    ) {
        self.ask = ask
        self.now = now
        self.verifier = verifier
        self.logger = logger
    }

    /// Until its task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let isDone = await refresh()
            try? await Task.sleep(for: isDone ? Self.interval : Self.retryInterval)
        }
    }

    /// After an unknown key: asks once, unless it was done within the last second. Whoever comes meanwhile waits for
    /// the same answer.
    ///
    /// - Returns: false when the auth service could not be asked, so that nobody can say whether the key is one of its.
    func refreshForUnknownKey() async -> Bool {
        if let running { return await running.value }
        if let last, now() - last < Self.unknownKeyInterval { return true }
        return await refresh()
    }

    private func refresh() async -> Bool {
        if let running { return await running.value }
        let task = Task { [ask, verifier, logger] in
            do {
                let keys = try await ask()
                try verifier.replaceKeys(jwks: keys.jwks, issuer: keys.issuer)
                return true
            } catch {
                logger.debug("The signing keys cannot be had yet.", metadata: ["error.detail": "\(error)"])
                return false
            }
        }
        running = task
        let isDone = await task.value
        running = nil
        // A failed attempt says nothing about which keys there are: whoever comes next asks again.
        if isDone { last = now() }
        return isDone
    }
}

extension PublishedKeys {
    /// What the auth service says over the bus.
    static func asked(over bus: Bus) async throws -> PublishedKeys {
        let reply = try await bus.request(MethodRegistry.authKeys, to: .auth, header: RequestHeader())
        let message = try Martlet_Wire_V1_AuthKeysReply(payload: reply.payload)
        return PublishedKeys(jwks: try JSONValue(parsing: message.jwks), issuer: message.issuer)
    }
}

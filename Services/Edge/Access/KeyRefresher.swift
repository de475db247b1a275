// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletAccessTokens
internal import MartletBus
internal import MartletJSON
internal import MartletWire

/// Keeps the verifier's keys those of the auth service: asks until it has them, then now and again, and at once for a
/// token signed by a key that is not known (AU-601), at most once a second.
actor KeyRefresher {
    static let interval = Duration.seconds(60)
    static let retryInterval = Duration.milliseconds(250)
    static let unknownKeyInterval = Duration.seconds(1)

    private let bus: Bus
    private let verifier: TokenVerifier
    private let logger: Logger
    /// When the keys were last had.
    private var last: ContinuousClock.Instant?
    private var running: Task<Bool, Never>?

    init(bus: Bus, verifier: TokenVerifier, logger: Logger) {
        self.bus = bus
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
    func refreshForUnknownKey() async {
        if let running {
            _ = await running.value
            return
        }
        if let last, ContinuousClock.now - last < Self.unknownKeyInterval { return }
        _ = await refresh()
    }

    private func refresh() async -> Bool {
        if let running { return await running.value }
        let task = Task { [bus, verifier, logger] in
            do {
                let reply = try await bus.request(MethodRegistry.authKeys, to: .auth, header: RequestHeader())
                let jwks = try Martlet_Wire_V1_AuthKeysReply(payload: reply.payload).jwks
                try verifier.replaceKeys(jwks: try JSONValue(parsing: jwks))
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
        if isDone { last = .now }
        return isDone
    }
}

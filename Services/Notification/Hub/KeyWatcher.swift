// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletAccessTokens
internal import MartletBus
internal import MartletJSON
internal import MartletWire

/// Keeps the verifier's keys those of the auth service, as the edge does: asks until it has them, then now and again,
/// and at once when somebody brings a token by a key that is not known (AU-601), at most once a second.
struct KeyWatcher: Sendable {
    private static let interval = Duration.seconds(60)
    private static let retryInterval = Duration.milliseconds(250)
    private static let unknownKeyInterval = Duration.seconds(1)

    let verifier: TokenVerifier
    let bus: Bus
    let logger: Logger
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(verifier: TokenVerifier, bus: Bus, logger: Logger) {
        self.verifier = verifier
        self.bus = bus
        self.logger = logger
        (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// There is a token by a key that is not known.
    func ask() { wake.yield() }

    /// Until its task is cancelled.
    func run(for hub: Hub) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [wake] in
                while !Task.isCancelled {
                    wake.yield()
                    try? await Task.sleep(for: Self.interval)
                }
            }
            var last: ContinuousClock.Instant?
            for await _ in wakes {
                if let last, .now - last < Self.unknownKeyInterval {
                    await hub.keysRefreshed(true)
                    continue
                }
                let isDone = await refresh()
                if isDone { last = .now }
                await hub.keysRefreshed(isDone)
                if !isDone {
                    try? await Task.sleep(for: Self.retryInterval)
                    wake.yield()
                }
            }
            group.cancelAll()
        }
    }

    private func refresh() async -> Bool {
        do {
            let reply = try await bus.request(MethodRegistry.authKeys, to: .auth, header: RequestHeader())
            let message = try Martlet_Wire_V1_AuthKeysReply(payload: reply.payload)
            try verifier.replaceKeys(jwks: JSONValue(parsing: message.jwks), issuer: message.issuer)
            return true
        } catch {
            logger.debug("The signing keys cannot be had yet.", metadata: ["error.detail": "\(error)"])
            return false
        }
    }
}

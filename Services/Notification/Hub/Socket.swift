// SPDX-License-Identifier: Apache-2.0

/// Who a channel or a connection acts for.
struct Grant: Sendable, Equatable {
    var role: String
    /// The token's claims as JSON text.
    var claims: String
    var token: String
    /// Unix seconds; nil for a key that does not expire.
    var expiresAt: Int64?
}

/// One client's connection. Lives and is touched on the hub alone.
final class Socket {
    let id: String
    unowned let session: EdgeSession
    let serializer: Serializer
    /// Of the key that it connected with.
    let grant: Grant
    /// By topic, with its prefix.
    var members: [String: Member] = [:]
    /// Joins that wait for something, by topic: the number of the newest.
    var pendingJoins: [String: Int] = [:]
    var lastHeard: ContinuousClock.Instant
    var joins = RateWindow(seconds: 1)
    var isClosed = false

    init(id: String, session: EdgeSession, serializer: Serializer, grant: Grant, now: ContinuousClock.Instant) {
        self.id = id
        self.session = session
        self.serializer = serializer
        self.grant = grant
        lastHeard = now
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// The bounds of the hub. What is configurable comes from the settings; the rest protects the process itself.
struct HubLimits: Sendable {
    var socketsMax = 10_000
    var socketIdleTimeout = Duration.seconds(60)
    var channelsPerSocketMax = 100
    var socketJoinsPerSecond = 100
    var joinsPerSecond = 500
    var messagesPerSecond = 2_500
    var broadcastBytesMax = 3_000_000
    var presenceCallsMax = 20
    /// What may wait for one edge, in bytes; beyond it the edge is not taking it and its session ends.
    var sessionBytesMax = 64 << 20
    /// What may wait for one edge, in bytes, before the change feed reads on: a few answers, so that the edge always has
    /// work. The log keeps what is not read yet; a bulk write is no reason to end a session.
    var feedBacklogBytesMax = 4 << 20

    /// How many times the allowed joins end the connection (RT-72).
    static let joinFloodFactor = 10
    /// Seconds that the rate of messages is averaged over, so that a short burst is no fault.
    static let messageWindowSeconds = 60
    /// Seconds that presence calls are counted in.
    static let presenceWindowSeconds = 30
    /// Largest object that a member may track, in bytes: every member that joins later gets all of them.
    static let trackBytesMax = 262_144
    /// What one answer to an edge holds, in bytes: small enough not to hold up the bus. A larger frame goes alone.
    static let replyBytesMax = 1 << 20
    /// How long an edge may not ask before its session ends.
    static let sessionSilenceMax = Duration.seconds(15)
    /// How long an edge may not ask before the change feed no longer waits for it: others must not suffer for it.
    static let feedPatience = Duration.seconds(2)
    /// Longest wait that an edge may ask for: well below the budget of `realtime.receive`.
    static let waitMax = Duration.seconds(15)
    /// Sessions at once: a handful of edges, and those that just died.
    static let sessionsMax = 64

    init() {}

    init(_ settings: Settings) {
        socketsMax = settings[\.notification.socketsMax]
        socketIdleTimeout = settings[\.notification.socketIdleTimeout]
        channelsPerSocketMax = settings[\.notification.channelsPerSocketMax]
        socketJoinsPerSecond = settings[\.notification.socketJoinsPerSecond]
        joinsPerSecond = settings[\.notification.joinsPerSecond]
        messagesPerSecond = settings[\.notification.messagesPerSecond]
        broadcastBytesMax = settings[\.notification.broadcastBytesMax]
        presenceCallsMax = settings[\.notification.presenceCallsMax]
    }
}

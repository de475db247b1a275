// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Live channels (section 10 of the realtime contract).
package struct NotificationSettings: Sendable {
    package let socketsMax = Setting<Int>(
        "martlet.notification.sockets_max", 10_000, in: 1...1_000_000, readers: [.notification],
        "Connected sockets at once; one more is closed with 1013.")
    package let socketIdleTimeout = Setting<Duration>(
        "martlet.notification.socket_idle_timeout", .seconds(60), in: .seconds(5)...(.seconds(3_600)),
        readers: [.notification],
        "How long a client may say nothing, heartbeats included, before it is closed with 1001."
    )
    package let channelsPerSocketMax = Setting<Int>(
        "martlet.notification.channels_per_socket_max", 100, in: 1...10_000, readers: [.notification],
        "Channels that one socket may have joined.")
    package let socketJoinsPerSecond = Setting<Int>(
        "martlet.notification.socket_joins_per_second", 100, in: 1...100_000, readers: [.notification],
        "Joins a second of one socket; more are refused, and ten times as many close it with 1008.")
    package let joinsPerSecond = Setting<Int>(
        "martlet.notification.joins_per_second", 500, in: 1...1_000_000, readers: [.notification],
        "Joins a second of all sockets; more are refused.")
    package let messagesPerSecond = Setting<Int>(
        "martlet.notification.messages_per_second", 2_500, in: 1...1_000_000, readers: [.notification],
        "Messages a second from clients, averaged over a minute; beyond it the channel that sends is closed.")
    package let broadcastBytesMax = Setting<Int>(
        "martlet.notification.broadcast_bytes_max", 3_000_000, in: 1_024...16_777_216, readers: [.notification],
        "Largest payload of a broadcast, in bytes.")
    package let presenceCallsMax = Setting<Int>(
        "martlet.notification.presence_calls_max", 20, in: 1...10_000, readers: [.notification],
        "Presence calls of one member of a channel in 30 seconds; one more closes the channel for it.")
}

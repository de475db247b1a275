// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// The public side: HTTP, limits, addresses.
package struct EdgeSettings: Sendable {
    package let port = Setting<Int>(port: "api.port", 8_000, readers: [.edge], "HTTP for the public.")
    package let address = Setting<String>(
        "martlet.edge.address", "127.0.0.1", readers: [.edge], "Address that the public port binds.",
        fault: NetworkText.addressFault)
    package let trustedProxies = Setting<[String]>(
        "martlet.edge.trusted_proxies", [], aliases: ["TRUSTED_PROXIES"], readers: [.edge],
        "Networks whose `X-Forwarded-For` is believed.", fault: NetworkText.networksFault)
    package let bodyBytesMax = Setting<Int>(
        "martlet.edge.body_bytes_max", 1_048_576, in: 1_024...1_073_741_824, readers: [.edge],
        "Largest request body, in bytes; a larger one is answered with 413.")
    package let functionBodyBytesMax = Setting<Int>(
        "martlet.edge.function_body_bytes_max", 10_485_760, in: 1_024...16_777_216, readers: [.edge],
        "Largest request body below `/functions/v1`, in bytes, where it is more than `body_bytes_max`.")
    package let connectionsMax = Setting<Int>(
        "martlet.edge.connections_max", 16_384, in: 16...1_000_000, readers: [.edge], "Open connections at once.")
    package let headTimeout = Setting<Duration>(
        "martlet.edge.head_timeout", .seconds(10), in: .milliseconds(100)...(.seconds(300)), readers: [.edge],
        "How long the head of a request may take.")
    package let bodyTimeout = Setting<Duration>(
        "martlet.edge.body_timeout", .seconds(30), in: .milliseconds(100)...(.seconds(3_600)), readers: [.edge],
        "How long a request's body may make no progress.")
    package let idleTimeout = Setting<Duration>(
        "martlet.edge.idle_timeout", .seconds(75), in: .seconds(1)...(.seconds(3_600)), readers: [.edge],
        "How long a connection may wait for its next request.")
    package let requestTimeout = Setting<Duration>(
        "martlet.edge.request_timeout", .seconds(10), in: .milliseconds(100)...(.seconds(300)), readers: [.edge],
        "Deadline of a request over all services.")
    package let clientRequestsPerSecond = Setting<Int>(
        "martlet.edge.client_requests_per_second", 500, in: 1...1_000_000, readers: [.edge],
        "Fuse: requests a second from one client address; more are answered with 429. Calls with the service role's key "
            + "do not count.")
    package let accessLog = Setting<AccessLog>(
        "martlet.edge.access_log", .writes, readers: [.edge],
        "Requests that get a line in the log: `off`, those that were `refused`, these and all `writes`, or `all`.")
}

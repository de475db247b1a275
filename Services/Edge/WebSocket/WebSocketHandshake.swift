// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// The opening handshake (RFC 6455, section 4.2). No subprotocol and no extension is ever agreed on.
enum WebSocketHandshake {
    /// Only for its answer's fields; the connection changes its own pipeline.
    private static let upgrader = NIOWebSocketServerUpgrader(
        shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
        upgradePipelineHandler: { channel, _ in channel.eventLoop.makeSucceededVoidFuture() })

    /// Whether a request asks for a WebSocket, however badly.
    static func isAsked(_ head: HTTPRequestHead) -> Bool {
        head.method == .GET && head.headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
    }

    /// Throws 426 for another version of the protocol, 400 for a handshake that is none.
    static func check(_ headers: HTTPHeaders) throws(EdgeError) {
        guard headers[canonicalForm: "connection"].contains(where: { $0.lowercased() == "upgrade" }) else {
            throw .badHandshake
        }
        guard headers[canonicalForm: "sec-websocket-version"].elementsEqual(["13"]) else { throw .upgradeRequired }
        let keys = headers["sec-websocket-key"]
        // Sixteen bytes in base64.
        guard keys.count == 1, keys[0].utf8.count == 24, keys[0].hasSuffix("==") else { throw .badHandshake }
    }

    /// The fields of the answer with status 101. Complete at once, on the channel's event loop.
    static func answer(to head: HTTPRequestHead, on channel: any Channel) -> EventLoopFuture<HTTPHeaders> {
        upgrader.buildUpgradeResponse(channel: channel, upgradeRequest: head, initialResponseHeaders: [:])
    }
}

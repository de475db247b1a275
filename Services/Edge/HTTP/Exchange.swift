// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOHTTP1

/// One whole request of a client.
struct EdgeRequest: Sendable {
    let method: HTTPMethod
    /// The target as it came, in origin form: `/path?query`.
    let target: String
    let headers: HTTPHeaders
    let body: ByteBuffer
    /// Address of the other end of the connection, without port.
    let peer: String
}

/// What the edge answers.
struct EdgeResponse: Sendable {
    enum Body: Sendable {
        case bytes(ByteBuffer)
        case file(SiteFile)
    }

    var status: Int
    var headers: [(name: String, value: String)]
    var body: Body
    /// Ends the connection after this answer.
    var closes = false

    init(status: Int, headers: [(name: String, value: String)] = [], body: Body = .bytes(ByteBuffer())) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// What becomes of a request for a WebSocket.
enum UpgradeAnswer: Sendable {
    case socket(SocketRequest)
    /// An ordinary answer, a refusal most often; the last of its connection.
    case response(EdgeResponse)
}

/// Answers whole requests; called on a connection's event loop, once per request.
protocol EdgeResponder: Sendable {
    /// Begins the answer; the task is cancelled when the client goes away.
    func begin(_ request: EdgeRequest, _ answer: @escaping @Sendable (EdgeResponse) -> Void) -> Task<Void, Never>
    /// The same for a GET that asks for a WebSocket.
    func open(_ request: EdgeRequest, _ answer: @escaping @Sendable (UpgradeAnswer) -> Void) -> Task<Void, Never>
    /// The answer to a request that is given up before it is whole.
    func refuse(_ error: EdgeError, target: String?, headers: HTTPHeaders?, peer: String) -> EdgeResponse
}

/// Bounds of one connection.
struct ConnectionLimits: Sendable {
    let bodyBytesMax: Int
    /// The bound of routes that have large bodies; not below `bodyBytesMax`.
    var largeBodyBytesMax = 0
    /// Bodies of all connections that are being collected or answered, in bytes; what is beyond it is refused with 503.
    var bodiesBytesMax = 128 << 20
    let headTimeout: TimeAmount
    let bodyTimeout: TimeAmount
    let idleTimeout: TimeAmount
    /// The target, or one field's name and value, in bytes: room for a filter of several hundred ids.
    static let headLineBytesMax = 32 << 10
    /// The target and all fields of a head, in bytes. Together with the claims of a token, which go along decoded, they
    /// have to fit into a header of the bus (60 KiB).
    static let headBytesMax = 40 << 10
    static let headFieldsMax = 256
    /// Bytes of later requests that are taken in while one is answered, before what the last read brought.
    static let aheadBytesMax = 8 << 10
    /// How long the rest of a refused body is read and dropped, so that the client gets to see the refusal.
    static let drainTimeout = TimeAmount.seconds(2)
}

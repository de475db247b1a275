// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// One prefix of the public API: who owns it and what the edge does before it passes a request on (D13).
struct Route: Sendable {
    /// Whether a request needs the project's key.
    enum KeyGate: Sendable {
        /// Needed everywhere but on these paths. One that ends in `/` stands for everything below it.
        case required(openPaths: [String])
        /// The owner decides.
        case open

        func isOpen(_ path: Substring) -> Bool {
            switch self {
            case .required(let openPaths):
                openPaths.contains { $0.hasSuffix("/") ? path.hasPrefix($0) : path == $0 }
            case .open: true
            }
        }
    }

    /// Begins with `/` and does not end with it.
    let prefix: String
    let owner: ServiceName
    let gate: KeyGate
    /// Whether the key may also come as `x-api-key` (RT-01).
    var takesXAPIKey = false
    /// Whether the project's key stands in for a missing `Authorization` (rest.md 17.1; AU-103 forbids it for auth).
    let keyIsBearer: Bool
    let cors: CORSPolicy
    let errors: ErrorDialect
    /// Whether the owner gets what is otherwise the edge's business: credentials, cookies, the host, the idempotency key.
    var passesAllFields = false
    /// Deadline of its requests; nil for the edge's own.
    var timeout: Duration?
    /// Whether the larger bound of bodies holds.
    var hasLargeBodies = false

    /// The path behind the prefix, beginning with `/`; nil if `path` is not below it.
    func pathInside(_ path: String) -> Substring? {
        guard path.utf8.starts(with: prefix.utf8) else { return nil }
        let rest = path[path.utf8.index(path.startIndex, offsetBy: prefix.utf8.count)...]
        if rest.isEmpty { return "/" }
        return rest.utf8.first == UInt8(ascii: "/") ? rest : nil
    }
}

/// Every route of the public API. What no row names is the application's site.
enum RouteTable {
    static let rest = Route(
        prefix: "/rest/v1", owner: .data, gate: .required(openPaths: []), keyIsBearer: true, cors: .rest, errors: .rest)

    /// The open paths of AU-102.
    static let auth = Route(
        prefix: "/auth/v1", owner: .auth,
        gate: .required(openPaths: [
            "/verify", "/callback", "/authorize", "/health", "/.well-known/", "/sso/saml/", "/oauth/authorize",
            "/oauth/token", "/oauth/clients/register", "/oauth/userinfo",
        ]), keyIsBearer: false, cors: .auth, errors: .auth)

    /// WebSockets end in the edge; what else is below it is answered by notification.
    static let realtime = Route(
        prefix: "/realtime/v1", owner: .notification, gate: .required(openPaths: []), takesXAPIKey: true,
        keyIsBearer: true, cors: .realtime, errors: .realtime)

    /// Mails, for back ends.
    static let notification = Route(
        prefix: "/notification/v1", owner: .notification, gate: .required(openPaths: []), keyIsBearer: true,
        cors: .notification, errors: .plain)

    /// Logic decides by the function's `verify_jwt` (FN-05). A function may take 400 seconds and wait for its turn.
    static let functions = Route(
        prefix: "/functions/v1", owner: .logic, gate: .open, keyIsBearer: false, cors: .functions, errors: .functions,
        passesAllFields: true, timeout: .seconds(410), hasLargeBodies: true)

    static let all = [rest, auth, realtime, functions, notification]

    /// Whether this is the one address that speaks WebSocket (RT-01).
    static func isSocket(_ route: Route, _ path: Substring) -> Bool {
        route.prefix == realtime.prefix && path == "/websocket"
    }

    static func match(_ path: String) -> (route: Route, path: Substring)? {
        for route in all {
            if let inside = route.pathInside(path) { return (route, inside) }
        }
        return nil
    }
}

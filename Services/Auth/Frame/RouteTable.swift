// SPDX-License-Identifier: Apache-2.0

/// One path of the API. `{name}` in it stands for any one part.
struct Route: Sendable {
    typealias Handler = @Sendable (Authority, AuthRequest, _ parameters: [String: String]) async throws -> AuthReply

    let method: String
    let path: [String]
    let handler: Handler

    init(_ method: String, _ path: String, _ handler: @escaping Handler) {
        self.method = method
        self.path = path.split(separator: "/").map(String.init)
        self.handler = handler
    }

    /// Whether the answer hangs on users whom SQL may have made or changed meanwhile.
    var isAboutUsers: Bool {
        ["signup", "otp", "magiclink", "recover", "resend", "verify", "token", "admin"].contains(path.first)
    }

    /// The values of the path's `{names}`; nil when `path` is another one.
    func parameters(of path: [String]) -> [String: String]? {
        guard path.count == self.path.count else { return nil }
        var parameters: [String: String] = [:]
        for (pattern, part) in zip(self.path, path) {
            if pattern.hasPrefix("{") {
                parameters[String(pattern.dropFirst().dropLast())] = part
            } else if pattern != part {
                return nil
            }
        }
        return parameters
    }
}

/// Every path that is served (AU-107: another path is 404, another method 405).
struct RouteTable: Sendable {
    static let shared = RouteTable(
        routes: [
            Route("POST", "/signup") { authority, request, _ in try await authority.signUp(request) },
            Route("POST", "/otp") { authority, request, _ in try await authority.requestCode(request) },
            Route("POST", "/magiclink") { authority, request, _ in try await authority.requestCode(request) },
            Route("POST", "/recover") { authority, request, _ in try await authority.recover(request) },
            Route("POST", "/resend") { authority, request, _ in try await authority.resend(request) },
            Route("POST", "/verify") { authority, request, _ in try await authority.verify(request) },
            Route("GET", "/verify") { authority, request, _ in try await authority.followLink(request) },
            Route("POST", "/token") { authority, request, _ in try await authority.token(request) },
            Route("POST", "/logout") { authority, request, _ in try await authority.logout(request) },
            Route("GET", "/user") { authority, request, _ in try await authority.showUser(request) },
            Route("PUT", "/user") { authority, request, _ in try await authority.changeUser(request) },
            Route("GET", "/health") { authority, _, _ in authority.health },
            Route("GET", "/settings") { authority, _, _ in authority.settings },
            Route("GET", "/.well-known/jwks.json") { authority, _, _ in authority.publishedKeys },
            Route("GET", "/admin/users") { authority, request, _ in try await authority.listUsers(request) },
            Route("POST", "/admin/users") { authority, request, _ in try await authority.createUser(request) },
            Route("GET", "/admin/users/{id}") { authority, request, parameters in
                try await authority.showUser(parameters["id"], request)
            },
            Route("PUT", "/admin/users/{id}") { authority, request, parameters in
                try await authority.changeUser(parameters["id"], request)
            },
            Route("DELETE", "/admin/users/{id}") { authority, request, parameters in
                try await authority.deleteUser(parameters["id"], request)
            },
        ])

    private let routes: [Route]

    init(routes: [Route]) { self.routes = routes }

    func answer(_ request: AuthRequest, by authority: Authority) async throws(AuthError) -> AuthReply {
        // HEAD is GET without a body, which the edge leaves out.
        let method = request.method == "HEAD" ? "GET" : request.method
        var allowed: [String] = []
        for route in routes {
            guard let parameters = route.parameters(of: request.path) else { continue }
            if route.method == method {
                do {
                    if route.isAboutUsers { try await authority.catchUp(request) }
                    return try await route.handler(authority, request, parameters)
                } catch { throw AuthError(wrapping: error) }
            }
            allowed.append(route.method)
        }
        guard !allowed.isEmpty else { throw AuthError(404, "validation_failed", "404 page not found") }
        var error = AuthError(405, "validation_failed", "Method not allowed")
        error.allowedMethods = allowed
        throw error
    }
}

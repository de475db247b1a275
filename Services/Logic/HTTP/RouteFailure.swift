// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire
internal import NIOCore

/// What the platform answers instead of a function, in the words of section 2 of the functions contract.
struct RouteFailure: Error, Sendable, Equatable {
    let status: UInt16
    /// `docs/errors.md` lists them.
    let code: String
    let message: String
    /// Clients tell by `x-relay-error` that it was not the function; tokens are refused without it, as the original does.
    var isRelayed = true
    var retryAfterSeconds: Int?

    static let methodNotAllowed = RouteFailure(
        status: 405, code: "METHOD_NOT_ALLOWED", message: "The method is not allowed here")
    static let nameMissing = RouteFailure(
        status: 400, code: "BAD_REQUEST", message: "missing function name in request")
    static let noAuthorization = RouteFailure(
        status: 401, code: "UNAUTHORIZED_NO_AUTH_HEADER", message: "Missing authorization header", isRelayed: false)
    static let malformedToken = RouteFailure(
        status: 401, code: "UNAUTHORIZED_INVALID_JWT_FORMAT", message: "Invalid JWT format", isRelayed: false)
    static let unsupportedAlgorithm = RouteFailure(
        status: 401, code: "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", message: "Unsupported JWT algorithm",
        isRelayed: false)

    static func refusedToken(isSymmetric: Bool) -> RouteFailure {
        RouteFailure(
            status: 401, code: isSymmetric ? "UNAUTHORIZED_LEGACY_JWT" : "UNAUTHORIZED_ASYMMETRIC_JWT",
            message: "Invalid JWT", isRelayed: false)
    }

    init(_ code: FunctionFailure.Code) {
        self.init(status: code.status, code: code.rawValue, message: code.message)
        if code == .tooManyRequests { retryAfterSeconds = 1 }
    }

    private init(
        status: UInt16, code: String, message: String, isRelayed: Bool = true
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.isRelayed = isRelayed
    }

    var reply: OutboundReply {
        var fields = [HTTPField("content-type", "application/json"), HTTPField("sb-error-code", code)]
        if isRelayed { fields.append(HTTPField("x-relay-error", "true")) }
        if let retryAfterSeconds { fields.append(HTTPField("retry-after", String(retryAfterSeconds))) }
        if status == 405 { fields.append(HTTPField("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")) }
        let body: JSONObject = ["code": .string(code), "message": .string(message), "msg": .string(message)]
        return OutboundReply(
            header: ReplyHeader(http: HTTPResponseHead(status: status, fields: fields)),
            payload: ByteBuffer(string: body.text))
    }
}

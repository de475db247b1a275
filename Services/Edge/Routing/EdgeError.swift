// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

/// A failure that the edge answers itself, because no service got to see the request or none answered in time.
struct EdgeError: Error, Sendable {
    let status: Int
    /// Stable, for programs; `docs/errors.md` lists them.
    let code: String
    /// For people; says nothing about the inside.
    let message: String
    var hint: String?
    var retryAfterSeconds: Int?
    /// Whether the connection is of no more use, because the rest of the request was not read.
    var closes = false
    /// Methods that would have worked (405).
    var allow: String?
    /// What is wrong with the project's key, in the words of RT-07.
    var keyFault: String?

    static let noKey = EdgeError(
        status: 401, code: "no_api_key", message: "No API key found in request",
        hint: "Send the project's anon key in the header `apikey`.")
    static let badKey = EdgeError(
        status: 401, code: "invalid_api_key", message: "Invalid API key",
        hint: "`martlet keys` prints the project's keys.")
    static let badHandshake = EdgeError(
        status: 400, code: "bad_request", message: "The WebSocket handshake cannot be read", closes: true)
    static let upgradeRequired = EdgeError(
        status: 426, code: "upgrade_required", message: "This address speaks WebSocket, version 13", closes: true)
    static let tooLarge = EdgeError(
        status: 413, code: "request_entity_too_large", message: "The request body is too large", closes: true)
    static let notFound = EdgeError(status: 404, code: "not_found", message: "There is nothing at this address")
    static let tooManyRequests = EdgeError(
        status: 429, code: "over_request_rate_limit", message: "Request rate limit reached", retryAfterSeconds: 1)
    static let tooManyBodies = EdgeError(
        status: 503, code: "service_unavailable",
        message: "The service is not available, please retry after a moment.", retryAfterSeconds: 1, closes: true)
    static let slowRequest = EdgeError(
        status: 408, code: "request_not_finished", message: "The request did not arrive in time", closes: true)
    static let badTarget = EdgeError(
        status: 400, code: "bad_request", message: "The request's target cannot be read", closes: true)
    static let noHTTP = EdgeError(
        status: 400, code: "bad_request", message: "The request is no valid HTTP", closes: true)
    static let headTooLarge = EdgeError(
        status: 431, code: "request_head_too_large", message: "The request's head is too large", closes: true)

    static func methodNotAllowed(_ allow: String) -> EdgeError {
        EdgeError(status: 405, code: "method_not_allowed", message: "The method is not allowed here", allow: allow)
    }

    /// What the client is told about a bus failure. The bus's own words go to the log.
    init(_ code: ErrorCode, retryAfterMilliseconds: UInt32) {
        let retry = max(1, (Int(retryAfterMilliseconds) + 999) / 1_000)
        switch code {
        case .busy, .draining, .unavailable, .storageUnavailable:
            self.init(
                status: 503, code: "service_unavailable",
                message: "The service is not available, please retry after a moment.", retryAfterSeconds: retry)
        case .deadlineExceeded:
            self.init(
                status: 504, code: "request_timeout",
                message: "Processing this request timed out, please retry after a moment.")
        case .linkLost:
            self.init(
                status: 502, code: "outcome_unknown",
                message: "The service went away while it worked on this request; it may or may not have taken effect.")
        case .payloadTooLarge:
            self.init(status: 413, code: Self.tooLarge.code, message: Self.tooLarge.message)
        case .idempotencyMismatch:
            self.init(
                status: 422, code: "idempotency_key_reused",
                message: "This Idempotency-Key was used for another request.")
        default:
            self.init(
                status: 500, code: "unexpected_failure",
                message: "Unexpected failure, please check server logs for more information")
        }
    }

    init(
        status: Int, code: String, message: String, hint: String? = nil, retryAfterSeconds: Int? = nil,
        closes: Bool = false, allow: String? = nil
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.retryAfterSeconds = retryAfterSeconds
        self.closes = closes
        self.allow = allow
    }
}

/// The error envelope of a prefix.
enum ErrorDialect: Sendable {
    /// `{"code","details","hint","message"}` (rest.md 18.1).
    case rest
    /// The two envelopes of AU-120, chosen by `X-Supabase-Api-Version`.
    case auth
    /// `{"error"}` (RT-07).
    case realtime
    /// `{"code","message","msg"}` with `x-relay-error` (FN-03).
    case functions
    /// What no prefix owns: `{"code","message"}`.
    case plain

    /// The day from which clients understand the second envelope.
    private static let authVersion = "2024-01-01"

    /// The body, and the headers that go with it.
    func render(
        _ error: EdgeError, requestID: String, apiVersion: String?
    ) -> (body: String, headers: [(name: String, value: String)]) {
        let message = JSONValue.string(error.message)
        switch self {
        case .rest:
            let body: JSONObject = [
                "code": .string(error.code), "details": .null, "hint": error.hint.map { .string($0) } ?? .null,
                "message": message,
            ]
            return (body.text, [("Content-Type", "application/json; charset=utf-8")])
        case .plain:
            let body: JSONObject = ["code": .string(error.code), "message": message]
            return (body.text, [("Content-Type", "application/json")])
        case .functions:
            let code = Self.functionCode(error)
            let body: JSONObject = ["code": .string(code), "message": message, "msg": message]
            return (
                body.text, [("Content-Type", "application/json"), ("sb-error-code", code), ("x-relay-error", "true")]
            )
        case .realtime:
            let text =
                switch error.code {
                case EdgeError.noKey.code: "API key is missing"
                case EdgeError.badKey.code: error.keyFault ?? error.message
                default: error.message
                }
            let body: JSONObject = ["error": .string(text)]
            return (body.text, [("Content-Type", "application/json; charset=utf-8")])
        case .auth:
            let code = error.status == 401 ? "no_authorization" : error.code
            var headers = [("Content-Type", "application/json"), ("x-sb-error-code", code)]
            if let apiVersion, Self.isDay(apiVersion), apiVersion >= Self.authVersion {
                headers.append(("X-Supabase-Api-Version", Self.authVersion))
                let body: JSONObject = ["code": .string(code), "message": message]
                return (body.text, headers)
            }
            var body: JSONObject = ["code": .integer(error.status), "error_code": .string(code), "msg": message]
            if error.status >= 500 { body["error_id"] = .string(requestID) }
            return (body.text, headers)
        }
    }

    /// The contract's word where it has one, else ours as it spells them.
    private static func functionCode(_ error: EdgeError) -> String {
        switch error.status {
        case 413: "PAYLOAD_TOO_LARGE"
        case 429: "TOO_MANY_REQUESTS"
        case 504: "IDLE_TIMEOUT"
        default: error.code.uppercased()
        }
    }

    /// `YYYY-MM-DD`, so that text order is the order of days.
    private static func isDay(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 10
            && bytes.indices.allSatisfy { index in
                index == 4 || index == 7
                    ? bytes[index] == UInt8(ascii: "-")
                    : (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index])
            }
    }
}

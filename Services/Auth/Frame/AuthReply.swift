// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
package import MartletWire

/// An answer of the auth API.
package struct AuthReply: Sendable {
    package var head: HTTPResponseHead
    package var body: [UInt8]

    /// JSON; `no-store` unless another rule is given (AU-508).
    init(
        status: UInt16 = 200, _ body: JSONValue, cacheControl: String = "no-store", fields: [HTTPField] = []
    ) {
        var bytes: [UInt8] = []
        body.write(to: &bytes)
        self.body = bytes
        head = HTTPResponseHead(
            status: status,
            fields: [HTTPField("content-type", "application/json"), HTTPField("cache-control", cacheControl)]
                + Self.commonFields + fields)
    }

    /// 204, without a body.
    static let noContent: AuthReply = {
        var reply = AuthReply(.null)
        reply.body = []
        reply.head = HTTPResponseHead(
            status: 204, fields: [HTTPField("cache-control", "no-store")] + Self.commonFields)
        return reply
    }()

    /// The error in the envelope that the client's version asks for (AU-120).
    ///
    /// - Parameter version: the client's `X-Supabase-Api-Version`.
    init(_ error: AuthError, version: String?, requestID: String) {
        let isNewVersion = Self.isAtLeast20240101(version)
        var body: JSONObject =
            isNewVersion
            ? ["code": .string(error.code), "message": .string(error.message)]
            : ["code": .integer(error.status), "error_code": .string(error.code), "msg": .string(error.message)]
        if let weakness = error.weakness {
            body["weak_password"] = ["reasons": .array(weakness.reasons.map { .string($0) })]
        }
        if !isNewVersion, error.status >= 500 { body["error_id"] = .string(requestID) }
        var fields = [HTTPField("x-sb-error-code", error.code)]
        if isNewVersion { fields.append(HTTPField("x-supabase-api-version", Self.version20240101)) }
        if let seconds = error.retryAfterSeconds { fields.append(HTTPField("retry-after", String(seconds))) }
        if !error.allowedMethods.isEmpty {
            fields.append(HTTPField("allow", error.allowedMethods.joined(separator: ", ")))
        }
        self.init(status: error.status, .object(body), fields: fields)
    }

    /// A date of that day or later; anything else means the first version.
    private static func isAtLeast20240101(_ version: String?) -> Bool {
        guard let version, version.utf8.count == 10 else { return false }
        let isDate = version.utf8.enumerated().allSatisfy { position, byte in
            position == 4 || position == 7
                ? byte == UInt8(ascii: "-") : byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
        }
        return isDate && version >= version20240101
    }

    private static let version20240101 = "2024-01-01"
    private static let commonFields = [HTTPField("x-content-type-options", "nosniff")]
}

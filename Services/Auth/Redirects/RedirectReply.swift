// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

extension AuthReply {
    /// 303 to an address that was checked, with parameters in its fragment or its query (AU-161). An existing fragment
    /// is replaced, an existing query kept.
    static func redirect(
        to target: String, query: [(String, String)] = [], fragment: [(String, String)] = []
    ) -> AuthReply {
        var url = String(target.prefix { $0 != "#" })
        if !query.isEmpty { url += (url.contains("?") ? "&" : "?") + PercentText.form(query) }
        if !fragment.isEmpty { url += "#" + PercentText.form(fragment) }
        var reply = AuthReply.noContent
        reply.head.status = 303
        // Tokens and codes stand in it.
        reply.head.fields += [HTTPField("location", url), HTTPField("referrer-policy", "no-referrer")]
        return reply
    }

    /// The error as a redirect says it; in PKCE flows in the query too.
    static func redirect(to target: String, error: AuthError, isPKCE: Bool) -> AuthReply {
        let kind =
            switch error.status {
            case 401: "unauthorized_client"
            case 403: "access_denied"
            case 503: "temporarily_unavailable"
            case 500...: "server_error"
            default: "invalid_request"
            }
        let isDenied = ["signup_disabled", "user_banned", "provider_email_needs_verification"].contains(error.code)
        let fields = [
            ("error", isDenied ? "access_denied" : kind), ("error_code", error.code),
            ("error_description", error.message),
        ]
        return redirect(to: target, query: isPKCE ? fields : [], fragment: fields + [("sb", "")])
    }
}

/// Percent-encoding of parameters.
enum PercentText {
    /// `a=b&c=d`, everything but unreserved characters encoded (RFC 3986, 2.3).
    static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\(encoded($0.0))=\(encoded($0.1))" }.joined(separator: "&")
    }

    static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
                || "-._~".utf8.contains(byte)
            {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let digits = Array("0123456789ABCDEF".utf8)
}

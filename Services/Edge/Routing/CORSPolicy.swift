// SPDX-License-Identifier: Apache-2.0

/// What browsers of other origins may do (rest.md 15, AU-110). The APIs are bearer-only: any origin, no credentials.
struct CORSPolicy: Sendable {
    let methods: String
    /// Request headers that are always allowed; those that a preflight asks for are allowed besides.
    let headers: String
    /// Answer headers that scripts may read.
    let exposed: String
    let preflightStatus: Int
    var maxAgeSeconds = 86_400
    /// Whether the owner is asked first, and its answer left alone where it says anything about other origins.
    var isLeftToOwner = false

    static let rest = CORSPolicy(
        methods: "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
        headers: "Authorization, Accept, Accept-Language, Content-Language",
        exposed:
            "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, "
            + "Range-Unit, Preference-Applied, X-Request-Id",
        preflightStatus: 200)

    static let auth = CORSPolicy(
        methods: "GET, POST, PUT, PATCH, DELETE",
        headers:
            "accept, authorization, content-type, apikey, x-client-info, x-client-ip, x-jwt-aud, x-use-cookie, "
            + "x-supabase-api-version",
        exposed: "X-Total-Count, Link, X-Supabase-Api-Version, x-sb-error-code, retry-after, x-request-id",
        preflightStatus: 204)

    static let realtime = CORSPolicy(
        methods: "GET, POST, OPTIONS", headers: "authorization, apikey, x-api-key, content-type, x-client-info",
        exposed: "X-Request-Id, Retry-After", preflightStatus: 204)

    static let notification = CORSPolicy(
        methods: "GET, POST, OPTIONS", headers: "authorization, apikey, content-type, idempotency-key, x-client-info",
        exposed: "X-Request-Id, Retry-After", preflightStatus: 204)

    /// A function's own answer comes first (FN-07); this is for functions that say nothing about other origins.
    static let functions = CORSPolicy(
        methods: "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        headers: "authorization, x-client-info, apikey, content-type, x-region",
        exposed: "x-relay-error, sb-error-code, x-request-id, retry-after", preflightStatus: 204,
        maxAgeSeconds: 3_600, isLeftToOwner: true)

    /// The names of `requested` that are tokens and not yet in `headers`, joined to it.
    func allowedHeaders(requested: String?) -> String {
        guard let requested else { return headers }
        var seen = Set(headers.split(separator: ",").map { Self.trim($0).lowercased() })
        var list = headers
        for part in requested.split(separator: ",") {
            let name = Self.trim(part)
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isToken), seen.insert(name.lowercased()).inserted else {
                continue
            }
            list += ", " + name
        }
        return list
    }

    private static func trim(_ text: Substring) -> String { String(text.drop { $0 == " " }.prefix { $0 != " " }) }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

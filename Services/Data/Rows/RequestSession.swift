// SPDX-License-Identifier: Apache-2.0

import MartletJSON
package import MartletWire

/// Who asks, for how long, and under which idempotency key: what a transaction of the application's data runs under.
///
/// On PostgreSQL it becomes transaction-local settings (rest contract 17.2), on SQLite the parameters that policies
/// and defaults read.
package struct RequestSession: Sendable {
    /// The database role: `anon`, `authenticated`, `service_role`, or what the token's `role` claim says.
    package var role: String
    /// The `sub` claim; nil when there is none. `auth.uid()`.
    package var subject: String?
    /// The `email` claim; nil when there is none. `auth.email()`.
    package var email: String?
    /// The token's claims as a JSON object that always holds `role`. `auth.jwt()`.
    package var claims: String
    /// HTTP method and path (still percent-encoded), as `request.method` and `request.path` show them.
    package var method: String
    package var path: String
    /// Of the request; names are lower case.
    package var fields: [HTTPField]
    /// What the log lines of the request carry, and the changes that it makes.
    package var trace: TraceContext
    /// When the caller stops waiting; nil for work of the service itself.
    package var deadline: ContinuousClock.Instant?
    /// Present on writes that came with `Idempotency-Key`.
    package var idempotency: IdempotencyKey?

    package init(
        role: String, subject: String? = nil, email: String? = nil, claims: String? = nil, method: String = "",
        path: String = "", fields: [HTTPField] = [], trace: TraceContext = .none,
        deadline: ContinuousClock.Instant? = nil, idempotency: IdempotencyKey? = nil
    ) {
        self.role = role
        self.subject = subject
        self.email = email
        self.claims = claims ?? "{\"role\":\"\(role)\"}"
        self.method = method
        self.path = path
        self.fields = fields
        self.trace = trace
        self.deadline = deadline
        self.idempotency = idempotency
    }

    /// `request.headers`: a JSON object of lower-case names, without `cookie`.
    var headers: String {
        var object = JSONObject()
        for field in fields where field.name != "cookie" { object[field.name] = .string(field.value) }
        return object.text
    }
}

/// Identity of a write that may be repeated (D27). The record is unique by `principal`, `method` and `key`.
package struct IdempotencyKey: Sendable, Equatable {
    /// How long a record is kept, in seconds.
    package static let retentionSeconds: Int64 = 24 * 60 * 60
    /// Longest body that is kept for a replay, in bytes; a longer one is answered once and never again.
    package static let replyBytesMax = 64 * 1024

    package var key: String
    /// Role and subject of the caller.
    package var principal: String
    /// HTTP method.
    package var method: String
    /// Digest of path, query, the headers that shape the answer and the body: another request under the same key
    /// is refused with 422.
    package var requestHash: String

    package init(key: String, principal: String, method: String, requestHash: String) {
        self.key = key
        self.principal = principal
        self.method = method
        self.requestHash = requestHash
    }
}

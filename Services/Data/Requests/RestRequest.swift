// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// A request of `/rest/v1` as the bus brought it.
package struct RestRequest: Sendable {
    package var head: HTTPRequestHead
    package var body: [UInt8]
    package var principal: Principal
    package var trace: TraceContext
    /// Empty without `Idempotency-Key`.
    package var idempotencyKey: String
    /// When the caller stops waiting; nil: never.
    package var deadline: ContinuousClock.Instant?

    package init(
        head: HTTPRequestHead, body: [UInt8] = [], principal: Principal = Principal(), trace: TraceContext = .none,
        idempotencyKey: String = "", deadline: ContinuousClock.Instant? = nil
    ) {
        self.head = head
        self.body = body
        self.principal = principal
        self.trace = trace
        self.idempotencyKey = idempotencyKey
        self.deadline = deadline
    }

    var preferences: Preferences { Preferences(head.fields.lazy.filter { $0.name == "prefer" }.map(\.value)) }

    /// What the transaction runs under.
    func session() -> RequestSession {
        let isKnown = principal.tokenStatus == .valid
        let role = isKnown && !principal.role.isEmpty ? principal.role : RestHandler.anonymousRole
        var session = RequestSession(
            role: role, method: head.method, path: head.path, fields: head.fields, trace: trace, deadline: deadline)
        guard isKnown else { return session }
        session.subject = principal.subject.isEmpty ? nil : principal.subject
        guard let claims = TokenClaims.read(principal.claims, role: role) else { return session }
        session.email = claims.email
        session.claims = claims.text
        return session
    }

    /// The identity of a write that may be repeated; nil without a key.
    var idempotency: IdempotencyKey? {
        guard !idempotencyKey.isEmpty else { return nil }
        var digest = ContentDigest()
        for part in [head.path, head.query] { digest.add(part.utf8) }
        for name in ["prefer", "accept", "content-profile", "content-type"] {
            digest.add((head[name] ?? "").utf8)
        }
        digest.add(body)
        return IdempotencyKey(
            key: idempotencyKey, principal: "\(session().role):\(principal.subject)", method: head.method,
            requestHash: digest.text)
    }
}

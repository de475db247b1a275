// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON

/// What waits until the signing keys were asked for once more.
enum WaitingForKeys {
    case join(Socket, Envelope, JoinConfig, ticket: Int)
    case refresh(Member, token: String)
}

/// Why a token gives no rights.
enum GrantFailure: Error, Equatable {
    /// In the words of RT-21.
    case fault(String)
    case unknownKey
}

extension Hub {
    /// For whom a join acts: its own token, else the connection's key.
    func grant(for token: String?, _ socket: Socket) -> Result<Grant, GrantFailure> {
        if let token, !Self.isOpaque(token), token != socket.grant.token { return verify(token) }
        if let expiresAt = socket.grant.expiresAt, expiresAt <= clock.unixSeconds() {
            return .failure(.fault("InvalidJWTToken: \(expired(at: expiresAt))"))
        }
        return .success(socket.grant)
    }

    /// A member's `access_token` message (RT-61). There is no reply.
    func accessToken(_ payload: Slice, _ member: Member) {
        guard let members = JSONSlices.members(of: payload),
            let token = members["access_token"].flatMap(JSONSlices.string),
            token != member.grant.token, !Self.isOpaque(token)
        else { return }
        refresh(member, token: token, hasAsked: false)
    }

    /// The keys are as new as they can be, or could not be had.
    func keysRefreshed(_ isDone: Bool) {
        let waiting = waitingForKeys
        waitingForKeys = []
        for item in waiting {
            switch item {
            case .join(let socket, let envelope, let config, let ticket):
                guard !socket.isClosed, socket.pendingJoins[envelope.topic] == ticket else { continue }
                socket.pendingJoins[envelope.topic] = nil
                guard isDone else {
                    refuse("UnableToConnectToProject: The signing keys cannot be had yet", envelope, socket)
                    continue
                }
                switch grant(for: config.accessToken, socket) {
                case .success(let grant): enter(envelope, config, grant, socket)
                case .failure(.fault(let reason)): refuse(reason, envelope, socket)
                case .failure(.unknownKey): refuse(Self.badSignature, envelope, socket)
                }
            case .refresh(let member, let token):
                // Without an answer the old token holds until it ends.
                if isDone, isPresent(member) { refresh(member, token: token, hasAsked: true) }
            }
        }
        flush()
    }

    /// Ends memberships whose token has ended and was not replaced.
    func expireTokens(of socket: Socket, unixSeconds: Int64) {
        for member in Array(socket.members.values) {
            guard let expiresAt = member.grant.expiresAt, expiresAt <= unixSeconds else { continue }
            expel(member, expired(at: expiresAt))
        }
    }

    /// Rights of a private channel come from policies on realtime.messages, which nothing evaluates yet: closed to
    /// everybody whom policies would bind (RT-60).
    static func mayJoinPrivate(_ grant: Grant) -> Bool { grant.role == "service_role" }

    func isPresent(_ member: Member) -> Bool {
        !member.socket.isClosed && member.socket.members[member.channel.key.topic] === member
    }

    // MARK: Judging

    private static let badSignature = "JwtSignatureError: Failed to validate JWT signature"
    private static let missingClaims = "InvalidJWTToken: Fields `role` and `exp` are required in JWT"

    private func refresh(_ member: Member, token: String, hasAsked: Bool) {
        switch verify(token) {
        case .success(let grant):
            let channel = member.channel.key
            guard !channel.isPrivate || Self.mayJoinPrivate(grant) else {
                expel(member, "You no longer have permission to read from this Channel topic: \(channel.name)")
                return
            }
            // The change feed judges by it from the next change on.
            member.grant = grant
        case .failure(.fault(let reason)): expel(member, Self.message(in: reason))
        case .failure(.unknownKey):
            if hasAsked {
                expel(member, Self.message(in: Self.badSignature))
            } else {
                waitForKeys(.refresh(member, token: token))
            }
        }
    }

    /// The text behind the code.
    private static func message(in reason: String) -> String {
        guard let colon = reason.firstIndex(of: ":") else { return reason }
        return String(reason[reason.index(after: colon)...].drop { $0 == " " })
    }

    private func verify(_ token: String) -> Result<Grant, GrantFailure> {
        let now = clock.unixSeconds()
        switch verifier.verify(token, now: now) {
        case .unknownKey: return .failure(.unknownKey)
        case .invalid(let fault): return .failure(.fault(reason(for: fault, token)))
        case .valid(let verified):
            guard Self.claim("role", of: verified.claims)?.stringValue != nil,
                verified.expiresAt != nil || verified.isProjectKey
            else { return .failure(.fault(Self.missingClaims)) }
            let expiresAt = verified.expiresAt.map { Int64($0.rounded(.down).clamped) }
            if let expiresAt, expiresAt <= now {
                return .failure(.fault("InvalidJWTToken: \(expired(at: expiresAt))"))
            }
            return .success(
                Grant(role: verified.role, claims: verified.claims, token: token, expiresAt: expiresAt))
        }
    }

    private func reason(for fault: TokenFault, _ token: String) -> String {
        switch fault {
        case .expired: return "InvalidJWTToken: \(expired(at: Self.expiry(of: token) ?? clock.unixSeconds()))"
        case .claimType("exp"), .claimType("role"): return Self.missingClaims
        case .key, .algorithm: return Self.badSignature
        default: return "MalformedJWT: The token provided is not a valid JWT"
        }
    }

    private func expired(at second: Int64) -> String {
        "Token has expired \(max(0, clock.unixSeconds() - second)) seconds ago"
    }

    private static func isOpaque(_ token: String) -> Bool { token.hasPrefix("sb_") }

    private static func claim(_ name: String, of claims: String) -> JSONValue? {
        (try? JSONValue(parsing: claims))?[name]
    }

    /// When a token ends whose signature was found good.
    private static func expiry(of token: String) -> Int64? {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let payload = Base64.decodeURL(Array(parts[1].utf8)) else { return nil }
        let expiry = (try? JSONValue(parsing: payload))?["exp"]?.doubleValue
        return expiry.map { Int64($0.rounded(.down).clamped) }
    }
}

extension Double {
    /// Within what an `Int64` of seconds holds.
    fileprivate var clamped: Double { isFinite ? Swift.min(Swift.max(self, 0), 9e15) : 0 }
}

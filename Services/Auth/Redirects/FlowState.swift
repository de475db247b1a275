// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import MartletAccessTokens
internal import MartletDatabase

/// The challenge of a PKCE flow (AU-162): whoever began it, and nobody else, gets the session.
struct CodeChallenge: Sendable, Equatable {
    let challenge: String
    let isHashed: Bool

    /// Nil without one.
    ///
    /// - Throws: `validation_failed` when challenge and method do not come together, or are none.
    init?(_ body: RequestBody) throws(AuthError) {
        let (challenge, method) = (try body.text("code_challenge"), try body.text("code_challenge_method"))
        guard (challenge == nil) == (method == nil) else {
            throw .validation("PKCE flow requires code_challenge_method and code_challenge")
        }
        guard let challenge, let method = method?.lowercased() else { return nil }
        guard method == "s256" || method == "plain" else {
            throw .validation("code_challenge_method must be s256 or plain")
        }
        let isText = challenge.utf8.allSatisfy { byte in
            (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
                || "-._~".utf8.contains(byte)
        }
        guard (43...128).contains(challenge.utf8.count), isText else {
            throw .validation("code_challenge must have 43 to 128 characters of A-Z, a-z, 0-9, -, ., _ and ~")
        }
        self.challenge = challenge
        isHashed = method == "s256"
    }

    init(challenge: String, isHashed: Bool) {
        self.challenge = challenge
        self.isHashed = isHashed
    }

    func isAnswered(by verifier: String) -> Bool {
        let made = isHashed ? Base64.encodeURL(Array(SHA256.hash(data: Array(verifier.utf8)))) : verifier
        return OneTimeSecrets.areEqual(Array(made.utf8), Array(challenge.utf8))
    }
}

/// A row of `flow_states`: a code that was given to a browser and becomes a session for whoever has the verifier.
struct FlowState: Sendable {
    static let life: Duration = .seconds(300)
    static let failuresMax: Int64 = 5

    let id: String
    let userID: String
    let challenge: CodeChallenge
    let issuedAt: Timestamp
}

extension DatabaseSession {
    func insert(_ flow: FlowState, codeHash: String) throws(DatabaseError) {
        try execute(
            """
            insert into flow_states (id, user_id, code_hash, challenge, is_hashed, failures, issued_at) \
            values ($1, $2, $3, $4, $5, 0, $6)
            """,
            [
                .text(flow.id), .text(flow.userID), .text(codeHash), .text(flow.challenge.challenge),
                .integer(flow.challenge.isHashed ? 1 : 0), flow.issuedAt.sqlValue,
            ])
    }

    func flow(codeHash: String, locked: Bool = false) throws -> FlowState? {
        let lock = locked && engine == .postgres ? " for update" : ""
        let rows = try query(
            "select id, user_id, challenge, is_hashed, issued_at from flow_states where code_hash = $1\(lock)",
            [.text(codeHash)])
        guard let row = rows.first, let id = row[0].textValue, let userID = row[1].textValue,
            let challenge = row[2].textValue, let issuedAt = Timestamp(row[4])
        else { return nil }
        return FlowState(
            id: id, userID: userID,
            challenge: CodeChallenge(challenge: challenge, isHashed: row[3].integerValue == 1), issuedAt: issuedAt)
    }

    func remove(_ flow: FlowState) throws(DatabaseError) {
        try execute("delete from flow_states where id = $1", [.text(flow.id)])
    }

    /// A wrong verifier; the code dies after too many.
    func noteFailure(of flow: FlowState) throws(DatabaseError) {
        try execute("update flow_states set failures = failures + 1 where id = $1", [.text(flow.id)])
        try execute(
            "delete from flow_states where id = $1 and failures >= \(FlowState.failuresMax)", [.text(flow.id)])
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

/// A row of `one_time_tokens`: the code and the link of one mail, one grant together (AU-170).
struct OneTimeToken: Sendable {
    let id: String
    let userID: String
    let purpose: TokenPurpose
    /// Where it was sent; worthless once the user has another address.
    let address: String
    let codeHash: String
    let linkHash: String
    let challenge: CodeChallenge?
    let sentAt: Timestamp

    private static let columnNames =
        "id, user_id, purpose, address, code_hash, link_hash, challenge, challenge_is_hashed, sent_at"

    init(
        id: String, userID: String, purpose: TokenPurpose, address: String, codeHash: String, linkHash: String,
        challenge: CodeChallenge?, sentAt: Timestamp
    ) {
        self.id = id
        self.userID = userID
        self.purpose = purpose
        self.address = address
        self.codeHash = codeHash
        self.linkHash = linkHash
        self.challenge = challenge
        self.sentAt = sentAt
    }

    fileprivate init(_ row: SQLRow) throws(AuthError) {
        guard let id = row["id"].textValue, let userID = row["user_id"].textValue,
            let purpose = TokenPurpose(rawValue: row["purpose"].textValue ?? ""),
            let address = row["address"].textValue, let codeHash = row["code_hash"].textValue,
            let linkHash = row["link_hash"].textValue, let sentAt = Timestamp(row["sent_at"])
        else { throw .failure("a row of one_time_tokens cannot be read") }
        self.init(
            id: id, userID: userID, purpose: purpose, address: address, codeHash: codeHash, linkHash: linkHash,
            challenge: row["challenge"].textValue.map {
                CodeChallenge(challenge: $0, isHashed: row["challenge_is_hashed"].integerValue == 1)
            }, sentAt: sentAt)
    }

    fileprivate static func select(_ condition: String, locked: Bool) -> String {
        "select \(columnNames) from one_time_tokens where \(condition)\(locked ? " for update" : "")"
    }

    fileprivate static var insertion: String {
        "insert into one_time_tokens (\(columnNames), failures) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)"
    }
}

extension DatabaseSession {
    /// Writes a token in place of the one that its user had for the purpose.
    func replace(_ token: OneTimeToken) throws(DatabaseError) {
        try execute(
            "delete from one_time_tokens where user_id = $1 and purpose = $2",
            [.text(token.userID), .text(token.purpose.rawValue)])
        try execute(
            OneTimeToken.insertion,
            [
                .text(token.id), .text(token.userID), .text(token.purpose.rawValue), .text(token.address),
                .text(token.codeHash), .text(token.linkHash), (token.challenge?.challenge).sqlValue,
                .integer(token.challenge?.isHashed == true ? 1 : 0), token.sentAt.sqlValue,
            ])
    }

    /// Locked, because whoever reads them counts guesses.
    func tokens(of userID: String, _ purposes: [TokenPurpose]) throws -> [OneTimeToken] {
        try query(OneTimeToken.select("user_id = $1", locked: engine == .postgres), [.text(userID)])
            .map(OneTimeToken.init).filter { purposes.contains($0.purpose) }
    }

    func token(linkHash: String) throws -> OneTimeToken? {
        try query(OneTimeToken.select("link_hash = $1", locked: false), [.text(linkHash)]).first
            .map(OneTimeToken.init)
    }

    func holds(_ token: OneTimeToken) throws(DatabaseError) -> Bool {
        try !query("select 1 from one_time_tokens where id = $1", [.text(token.id)]).isEmpty
    }

    /// Uses a token up. False when somebody else did.
    func burn(_ token: OneTimeToken) throws(DatabaseError) -> Bool {
        try execute("delete from one_time_tokens where id = $1", [.text(token.id)]) == 1
    }

    /// A wrong guess; the code, and its link, are void after too many.
    func noteGuess(of token: OneTimeToken) throws(DatabaseError) {
        try execute("update one_time_tokens set failures = failures + 1 where id = $1", [.text(token.id)])
        #if !MUTANT_AUTH_GUESSES_UNLIMITED
            try execute(
                "delete from one_time_tokens where id = $1 and failures >= \(MailPolicy.guessesMax)",
                [.text(token.id)])
        #endif
    }

    /// Nothing outstanding of a user may be used any more.
    func voidTokens(of userID: String) throws(DatabaseError) {
        try execute("delete from one_time_tokens where user_id = $1", [.text(userID)])
        try execute("delete from flow_states where user_id = $1", [.text(userID)])
    }
}

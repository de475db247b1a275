// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

/// Who was sent what when, by hashes: the limits of mails. An unknown address counts like a known one, so that the
/// limits tell nobody who has an account (AU-505).
struct MailSend: Sendable {
    let addressHash: String
    /// Of the address without its `+label` (AU-516).
    let mailboxHash: String
    let purpose: TokenPurpose
    let at: Timestamp

    init(to address: String, _ purpose: TokenPurpose, _ secrets: OneTimeSecrets, at: Timestamp) {
        addressHash = secrets.hash(address, "address")
        let place = address.lastIndex(of: "@") ?? address.endIndex
        let mailbox = address[..<place].prefix { $0 != "+" } + address[place...]
        mailboxHash = secrets.hash(String(mailbox), "mailbox")
        self.purpose = purpose
        self.at = at
    }
}

extension DatabaseSession {
    /// - Throws: 429 `over_email_send_rate_limit`.
    func checkLimits(_ send: MailSend, _ policy: MailPolicy) throws {
        func count(_ condition: String, _ values: [SQLValue], since: Duration) throws -> Int64 {
            try query(
                "select count(*) from mail_sends where \(condition) and sent_at > $1",
                [send.at.advanced(by: .zero - since).sqlValue] + values
            ).first?[0].integerValue ?? 0
        }
        let last = try query(
            "select max(sent_at) from mail_sends where address_hash = $1 and purpose = $2",
            [.text(send.addressHash), .text(send.purpose.rawValue)]
        ).first.flatMap { Timestamp($0[0]) }
        if let last {
            let open = last.advanced(by: policy.gap).microseconds - send.at.microseconds
            if open > 0 {
                let seconds = Int((open + 999_999) / 1_000_000)
                throw AuthError.tooManyMails(
                    "For security purposes, you can only request this after \(seconds) seconds.", after: seconds)
            }
        }
        let mailbox: [SQLValue] = [.text(send.mailboxHash)]
        guard try count("mailbox_hash = $2", mailbox, since: .seconds(3_600)) < MailPolicy.mailboxPerHour,
            try count("mailbox_hash = $2", mailbox, since: .seconds(86_400)) < MailPolicy.mailboxPerDay,
            try count("is_real = 1", [], since: .seconds(3_600)) < policy.perHour
        else { throw AuthError.tooManyMails("email rate limit exceeded", after: 3_600) }
    }

    /// - Parameter isReal: whether there is a mail, or only the answer that there would have been one.
    func note(_ send: MailSend, isReal: Bool) throws(DatabaseError) {
        try execute(
            """
            insert into mail_sends (id, address_hash, mailbox_hash, purpose, is_real, sent_at) \
            values ($1, $2, $3, $4, $5, $6)
            """,
            [
                .text(RandomBytes.makeUUID()), .text(send.addressHash), .text(send.mailboxHash),
                .text(send.purpose.rawValue), .integer(isReal ? 1 : 0), send.at.sqlValue,
            ])
    }
}

extension AuthError {
    static func tooManyMails(_ message: String, after seconds: Int) -> AuthError {
        var error = AuthError(429, "over_email_send_rate_limit", message)
        error.retryAfterSeconds = seconds
        return error
    }

    static let codeExpired = AuthError(403, "otp_expired", "Token has expired or is invalid")
    static let linkExpired = AuthError(403, "otp_expired", "Email link is invalid or has expired")
}

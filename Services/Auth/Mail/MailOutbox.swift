// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletDatabase
package import MartletJSON
package import MartletWire

/// A mail on its way to the notification service: the kind and its variables (D37), among them a code and a link.
package struct OutgoingMail: Sendable {
    /// Also the idempotency key, so that a repeat is the same mail.
    package let id: String
    /// Name of the template.
    package let kind: String
    package let to: String
    package let variables: JSONObject
    /// The request that asked for it.
    package let trace: TraceContext
}

/// The notification service, as auth needs it.
package protocol MailCarrier: Sendable {
    func carry(_ mail: OutgoingMail, deadline: ContinuousClock.Instant) async -> MailCarriage
}

/// What became of a mail that was handed over.
package enum MailCarriage: Sendable, Equatable {
    case taken
    /// It will never be taken.
    case refused(String)
    /// Nobody knows, or nobody could take it now.
    case failed(String)
}

/// A row of `mail_outbox` that is not written yet.
struct PreparedMail: Sendable {
    let kind: MailKind
    let id: String
    let address: String
    /// Variables, sealed.
    let sealed: String
    let token: OneTimeToken
    let send: MailSend
    let trace: TraceContext
}

extension DatabaseSession {
    /// Hands a mail to the outbox, and its code and link to whoever gets it.
    func post(_ mail: PreparedMail) throws {
        try note(mail.send, isReal: true)
        try replace(mail.token)
        let column = mail.kind.purpose == .confirmation ? "confirmation_sent_at" : "recovery_sent_at"
        try execute(
            "update users set \(column) = $2 where id = $1", [.text(mail.token.userID), mail.send.at.sqlValue])
        try execute(
            """
            insert into mail_outbox (id, kind, recipient, variables, created_at, trace) \
            values ($1, $2, $3, $4, $5, $6)
            """,
            [
                .text(mail.id), .text(mail.kind.rawValue), .text(mail.address), .text(mail.sealed),
                mail.send.at.sqlValue, .text(mail.trace.line),
            ])
    }
}

extension Authority {
    /// Mails that one round hands over.
    private static let roundMax = 32
    /// How long the notification service may take for one.
    private static let carriageBudget = Duration.seconds(5)

    /// Mails that wait, oldest first.
    package func waitingMails() async throws(AuthError) -> [OutgoingMail] {
        let rows = try await database.reading { session in
            try session.query(
                """
                select id, kind, recipient, variables, trace from mail_outbox \
                order by created_at, id limit \(Self.roundMax)
                """)
        }
        var mails: [OutgoingMail] = []
        for row in rows {
            guard let id = row[0].textValue, let kind = row[1].textValue, let to = row[2].textValue,
                let sealed = row[3].textValue
            else { continue }
            let trace = TraceContext(line: row[4].textValue ?? "")
            do throws(KeyError) {
                let bytes = try encryption.open(sealed, context: Self.sealContext(id))
                let variables = (try? JSONValue(parsing: bytes))?.objectValue ?? JSONObject()
                mails.append(OutgoingMail(id: id, kind: kind, to: to, variables: variables, trace: trace))
            } catch {
                // The key that sealed it is gone: nobody can ever send it.
                report(.mailRefused(id: id, trace: trace, reason: error.message))
                try await forgetMail(id)
            }
        }
        return mails
    }

    /// Takes a mail out of the outbox.
    package func forgetMail(_ id: String) async throws(AuthError) {
        try await database.writing { session in
            try session.execute("delete from mail_outbox where id = $1", [.text(id)])
        }
    }

    /// Hands over what waits. False when something still does.
    package func handOverMails(to carrier: any MailCarrier) async -> Bool {
        do throws(AuthError) {
            while case let mails = try await waitingMails(), !mails.isEmpty {
                for mail in mails {
                    switch await carrier.carry(mail, deadline: .now + Self.carriageBudget) {
                    case .taken: break
                    case .refused(let reason): report(.mailRefused(id: mail.id, trace: mail.trace, reason: reason))
                    case .failed(let reason):
                        report(.mailsWait(reason: reason))
                        return false
                    }
                    try await forgetMail(mail.id)
                }
            }
            return true
        } catch {
            report(.failed(trace: .none, error: error))
            return false
        }
    }

    /// Forgets codes, flows and counts that have no meaning any more.
    package func forgetExpired() async {
        let now = clock()
        let day = now.advanced(by: .seconds(-86_400))
        let policy = configuration.mail
        let oldest = now.advanced(by: .zero - policy.linkLife)
        let flow = now.advanced(by: .zero - FlowState.life)
        do throws(AuthError) {
            try await database.writing { session in
                for (table, column, time) in [
                    ("mail_sends", "sent_at", day), ("one_time_tokens", "sent_at", oldest),
                    ("flow_states", "issued_at", flow),
                ] {
                    try session.execute(
                        """
                        delete from \(table) where id in \
                        (select id from \(table) where \(column) < $1 limit 500)
                        """, [time.sqlValue])
                }
            }
        } catch { report(.failed(trace: .none, error: error)) }
    }

    static func sealContext(_ id: String) -> String { "mail_outbox/\(id)" }
}

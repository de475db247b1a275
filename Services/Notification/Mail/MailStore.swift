// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// The deliveries: a mail that was accepted stands here until the server has it, or nobody will ever take it.
///
/// An attempt is a lease with a fence (D38): whoever attempts raises the fence, and only the holder of the last one may
/// say how it ended.
struct MailStore: Sendable {
    let database: Database
    let keys: EncryptionKeys

    /// A mail that somebody wants delivered.
    struct Request: Sendable {
        let id: String
        /// Caller and idempotency key.
        let senderKey: String
        let template: String
        let recipient: MailAddress
        let messageID: String
        let content: MailContent
        /// What tells another request from a repeat.
        let hash: String
        /// The request that asked for it.
        let trace: TraceContext
    }

    /// What stands in the store for a request.
    struct Accepted: Sendable, Equatable {
        let id: String
        let messageID: String
        let isRepeat: Bool
    }

    /// The right to attempt a delivery.
    struct Lease: Sendable {
        let id: String
        let fence: Int64
        let attempts: Int64
        let recipient: String
        let messageID: String
        let template: String
        let createdAt: Int64
        /// From when on its patience counts, in microseconds since 1970 UTC.
        let triedFrom: Int64
        /// Nil when none of our keys opens it.
        let content: MailContent?
        /// Somebody began an attempt and never said how it ended.
        let isTakenOver: Bool
        let trace: TraceContext
    }

    /// How an attempt ended, for the row.
    enum Ending: Sendable, Equatable {
        case sent
        case dead(String)
        case again(at: Int64, String, isUnknown: Bool)
    }

    /// Opens the tables. Leases of a process that is gone end at once where the file belongs to one process.
    func prepare() async throws {
        try await database.migrate(MailSchema.migrations)
        guard database.engine == .sqlite else { return }
        try await database.write { session in
            try session.execute("update deliveries set due_at = 0 where state = 'sending'")
        }
    }

    /// Takes a mail: durable when this returns.
    func accept(_ request: Request, now: Int64, deadline: ContinuousClock.Instant?) async throws -> Accepted {
        let sealed = try keys.seal(Array(request.content.document.text.utf8), context: Self.context(request.id))
        return try await database.write(deadline: deadline) { session in
            let inserted = try session.execute(
                """
                insert into deliveries (id, sender_key, request_hash, template, recipient, message_id, content, state, \
                attempts, due_at, fence, unknown_outcomes, created_at, trace) \
                values ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, $8, 0, 0, $8, $9) on conflict (sender_key) do nothing
                """,
                [
                    .text(request.id), .text(request.senderKey), .text(request.hash), .text(request.template),
                    .text(request.recipient.text), .text(request.messageID), .text(sealed), .integer(now),
                    .text(request.trace.line),
                ])
            if inserted == 1 {
                let waiting = try session.query("select count(*) from deliveries where finished_at is null")
                guard (waiting.first?[0].integerValue ?? 0) <= MailLimits.waitingMax else { throw MailRefusal.full }
                return Accepted(id: request.id, messageID: request.messageID, isRepeat: false)
            }
            let rows = try session.query(
                "select id, message_id, request_hash from deliveries where sender_key = $1", [.text(request.senderKey)])
            guard let row = rows.first, row[2].textValue == request.hash else { throw MailRefusal.keyReused }
            return Accepted(id: row[0].textValue ?? "", messageID: row[1].textValue ?? "", isRepeat: true)
        }
    }

    /// The delivery that is due longest, for this caller alone until `until`.
    func lease(now: Int64, until: Int64) async throws -> Lease? {
        let keys = keys
        return try await database.write { session in
            let lock = session.engine == .postgres ? " for update skip locked" : ""
            let rows = try session.query(
                """
                select id, state, fence, attempts, recipient, message_id, template, created_at, content, trace, \
                tried_from from deliveries where finished_at is null and due_at <= $1 order by due_at, id limit 1\(lock)
                """, [.integer(now)])
            guard let row = rows.first, let id = row[0].textValue else { return nil }
            let isTakenOver = row[1].textValue == "sending"
            let fence = (row[2].integerValue ?? 0) + 1
            try session.execute(
                """
                update deliveries set state = 'sending', fence = $2, attempts = attempts + 1, due_at = $3, \
                unknown_outcomes = unknown_outcomes + $4 where id = $1
                """, [.text(id), .integer(fence), .integer(until), .integer(isTakenOver ? 1 : 0)])
            return Lease(
                id: id, fence: fence, attempts: (row[3].integerValue ?? 0) + 1, recipient: row[4].textValue ?? "",
                messageID: row[5].textValue ?? "", template: row[6].textValue ?? "",
                createdAt: row[7].integerValue ?? 0, triedFrom: row[10].integerValue ?? row[7].integerValue ?? 0,
                content: Self.content(row[8].textValue, of: id, keys),
                isTakenOver: isTakenOver,
                trace: TraceContext(line: row[9].textValue ?? ""))
        }
    }

    /// Writes down how an attempt ended. False when the lease had passed to somebody else.
    func finish(_ lease: Lease, _ ending: Ending, now: Int64) async throws -> Bool {
        try await database.write { session in
            let place = "where id = $1 and fence = $2 and state = 'sending'"
            let holder: [SQLValue] = [.text(lease.id), .integer(lease.fence)]
            return switch ending {
            case .sent:
                try session.execute(
                    """
                    update deliveries set state = 'sent', content = null, last_error = null, finished_at = $3 \(place)
                    """, holder + [.integer(now)]) == 1
            case .dead(let reason):
                // The content stays, sealed, until the row is forgotten: somebody may send it again.
                try session.execute(
                    """
                    update deliveries set state = 'dead', last_error = $4, finished_at = $3 \(place)
                    """, holder + [.integer(now), .text(reason)]) == 1
            case .again(let time, let reason, let isUnknown):
                try session.execute(
                    """
                    update deliveries set state = 'queued', due_at = $3, last_error = $4, \
                    unknown_outcomes = unknown_outcomes + $5 \(place)
                    """, holder + [.integer(time), .text(reason), .integer(isUnknown ? 1 : 0)]) == 1
            }
        }
    }

    /// When the next delivery is due; nil when none waits.
    func nextDue() async throws -> Int64? {
        try await database.read { session in
            try session.query("select min(due_at) from deliveries where finished_at is null").first?[0].integerValue
        }
    }

    /// How many wait, and how many are dead.
    func counts() async throws -> (waiting: Int64, dead: Int64) {
        try await database.read { session in
            let rows = try session.query(
                """
                select sum(case when finished_at is null then 1 else 0 end), \
                sum(case when state = 'dead' then 1 else 0 end) from deliveries
                """)
            return (rows.first?[0].integerValue ?? 0, rows.first?[1].integerValue ?? 0)
        }
    }

    /// Forgets deliveries that ended before `time`; their keys are free again.
    func forget(before time: Int64) async throws {
        try await database.write { session in
            try session.execute(
                """
                delete from deliveries where id in (select id from deliveries where finished_at < $1 \
                order by finished_at limit \(MailLimits.cleanUpMax))
                """, [.integer(time)])
        }
    }

    private static func context(_ id: String) -> String { "deliveries/\(id)" }

    private static func content(_ sealed: String?, of id: String, _ keys: EncryptionKeys) -> MailContent? {
        guard let sealed, let bytes = try? keys.open(sealed, context: context(id)),
            let document = try? JSONValue(parsing: bytes)
        else { return nil }
        return MailContent(document)
    }
}

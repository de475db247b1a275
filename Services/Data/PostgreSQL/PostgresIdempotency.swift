// SPDX-License-Identifier: Apache-2.0

import MartletDatabase

/// The records of idempotency keys (D27), in the transaction of the write that they belong to.
enum PostgresIdempotency {
    /// Expired records that one write removes at most.
    private static let removedMax = 100

    /// Claims the key, or brings the earlier answer. Waits while another transaction holds the same key.
    ///
    /// - Throws: `RowError` when the key belongs to another request, or its answer was not kept.
    static func claim(_ key: IdempotencyKey, _ database: DatabaseSession) throws -> FinishedReply? {
        try database.execute(
            """
            delete from martlet.idempotency where ctid = any (array(select ctid from martlet.idempotency \
            where created_at < now() - make_interval(secs => \(IdempotencyKey.retentionSeconds)) \
            limit \(removedMax) for update skip locked))
            """)
        let identity: [SQLValue] = [.text(key.principal), .text(key.method), .text(key.key)]
        let claimed = try database.execute(
            """
            insert into martlet.idempotency (principal, method, key, request_hash) values ($1, $2, $3, $4) \
            on conflict do nothing
            """, identity + [.text(key.requestHash)])
        guard claimed == 0 else { return nil }
        guard let earlier = try recorded(key, database) else {
            throw RowError("40001", "could not serialize access due to concurrent delete")
        }
        return earlier
    }

    /// The earlier answer, if there is one.
    ///
    /// - Throws: `RowError` when the key belongs to another request, or its answer was not kept.
    static func recorded(_ key: IdempotencyKey, _ database: DatabaseSession) throws -> FinishedReply? {
        let rows = try database.query(
            """
            select request_hash, status, fields, body from martlet.idempotency \
            where principal = $1 and method = $2 and key = $3
            """, [.text(key.principal), .text(key.method), .text(key.key)])
        guard let row = rows.first else { return nil }
        guard row[0].textValue == key.requestHash else { throw RowError.idempotencyMismatch }
        guard let status = row[1].integerValue, let body = row[3].blobValue else {
            throw RowError.replyTooLargeToReplay
        }
        return FinishedReply(status: status, storedFields: row[2].textValue ?? "", body: body)
    }

    static func record(_ reply: FinishedReply, under key: IdempotencyKey, _ database: DatabaseSession) throws {
        guard reply.body.count <= IdempotencyKey.replyBytesMax else { return }
        try database.execute(
            """
            update martlet.idempotency set status = $4, fields = $5, body = $6 \
            where principal = $1 and method = $2 and key = $3
            """,
            [
                .text(key.principal), .text(key.method), .text(key.key), .integer(Int64(reply.status)),
                .text(reply.storedFields), .blob(reply.body),
            ])
    }
}

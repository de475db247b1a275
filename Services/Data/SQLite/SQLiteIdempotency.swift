// SPDX-License-Identifier: Apache-2.0

import MartletDatabase

/// The records of idempotency keys (D27), in the savepoint of the write that they belong to.
enum SQLiteIdempotency {
    /// Expired records that one write removes at most.
    private static let removedMax = 100

    /// - Throws: `RowError` when the key belongs to another request, or its answer was not kept.
    static func find(
        _ key: IdempotencyKey, _ access: RowAccess, _ database: DatabaseSession
    ) throws -> FinishedReply? {
        let now = access.context[4].integerValue ?? 0
        try database.execute(
            """
            DELETE FROM martlet_idempotency WHERE rowid IN \
            (SELECT rowid FROM martlet_idempotency WHERE created_at < ?1 LIMIT \(removedMax))
            """, [.integer(now - IdempotencyKey.retentionSeconds * 1_000_000)])
        return try recorded(key, database)
    }

    /// The earlier answer, if there is one. Throws as `find` does, and changes nothing.
    static func recorded(_ key: IdempotencyKey, _ database: DatabaseSession) throws -> FinishedReply? {
        let rows = try database.query(
            """
            SELECT request_hash, status, fields, body FROM martlet_idempotency \
            WHERE principal = ?1 AND method = ?2 AND key = ?3
            """, [.text(key.principal), .text(key.method), .text(key.key)])
        guard let row = rows.first else { return nil }
        guard row[0].textValue == key.requestHash else { throw RowError.idempotencyMismatch }
        guard let status = row[1].integerValue, let body = row[3].blobValue else {
            throw RowError.replyTooLargeToReplay
        }
        return FinishedReply(status: status, storedFields: row[2].textValue ?? "", body: body)
    }

    static func record(
        _ reply: FinishedReply, under key: IdempotencyKey, _ access: RowAccess, _ database: DatabaseSession
    ) throws {
        let isKept = reply.body.count <= IdempotencyKey.replyBytesMax
        try database.execute(
            """
            INSERT INTO martlet_idempotency (principal, method, key, request_hash, status, fields, body, created_at) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            """,
            [
                .text(key.principal), .text(key.method), .text(key.key), .text(key.requestHash),
                isKept ? .integer(Int64(reply.status)) : .null, isKept ? .text(reply.storedFields) : .null,
                isKept ? .blob(reply.body) : .null, access.context[4],
            ])
    }
}

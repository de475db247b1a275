// SPDX-License-Identifier: Apache-2.0

/// How far a consumer has come in a stream of another service's log (D31).
package struct LogCursor: Sendable, Equatable {
    package var epoch: Int64
    /// The last sequence whose effect is stored.
    package var sequence: Int64

    package init(epoch: Int64, sequence: Int64) {
        self.epoch = epoch
        self.sequence = sequence
    }
}

/// Why a batch is not applied.
package enum LogConsumerError: Error, Equatable {
    /// The batch does not follow the cursor, or has a hole: pull again from the cursor.
    case gap(expected: Int64, found: Int64)
    /// The batch belongs to another epoch than the cursor: read the state anew, then `start`.
    case epoch(expected: Int64, found: Int64)
    /// There is no cursor yet: `start` first.
    case notStarted
}

/// The storage side of a consumer: effect and cursor change in one transaction, so each entry takes effect once.
package struct LogConsumer: Sendable {
    package let name: String
    package let stream: String

    /// The consumer's table, for a service's migrations; on both engines.
    package static let table = """
        create table if not exists cursor (
            consumer text not null, stream text not null, epoch bigint not null, seq bigint not null,
            primary key (consumer, stream));
        """

    package init(name: String, stream: String) {
        self.name = name
        self.stream = stream
    }

    /// The cursor; nil before the first `start`.
    package func cursor(in session: DatabaseSession) throws -> LogCursor? {
        let rows = try session.query(
            "select epoch, seq from cursor where consumer = $1 and stream = $2", [.text(name), .text(stream)])
        guard let row = rows.first, let epoch = row[0].integerValue, let sequence = row[1].integerValue else {
            return nil
        }
        return LogCursor(epoch: epoch, sequence: sequence)
    }

    /// Sets the cursor without an effect: at the beginning, and after the state was read anew.
    package func start(at cursor: LogCursor, in session: DatabaseSession) throws {
        try session.execute(
            "insert into cursor (consumer, stream, epoch, seq) values ($1, $2, $3, $4) "
                + "on conflict (consumer, stream) do update set epoch = excluded.epoch, seq = excluded.seq",
            [.text(name), .text(stream), .integer(cursor.epoch), .integer(cursor.sequence)])
    }

    /// Runs `effect` for each entry that is new and moves the cursor, all in the caller's transaction. Entries that took
    /// effect before are passed over, so a batch may come twice.
    ///
    /// - Parameter entries: of one epoch, in order; sequences of a stream have no holes.
    /// - Throws: `LogConsumerError`, and what `effect` throws.
    package func apply<Entry>(
        _ entries: [(sequence: Int64, entry: Entry)], epoch: Int64, in session: DatabaseSession,
        effect: (Entry) throws -> Void
    ) throws {
        guard let cursor = try cursor(in: session) else { throw LogConsumerError.notStarted }
        guard cursor.epoch == epoch else { throw LogConsumerError.epoch(expected: cursor.epoch, found: epoch) }
        var next = cursor.sequence + 1
        for (sequence, entry) in entries where sequence >= next {
            guard sequence == next else { throw LogConsumerError.gap(expected: next, found: sequence) }
            try effect(entry)
            next += 1
        }
        guard next - 1 > cursor.sequence else { return }
        #if !MUTANT_LOG_CURSOR_OUTSIDE
            try start(at: LogCursor(epoch: epoch, sequence: next - 1), in: session)
        #endif
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL
import MartletWire

/// Gives the changes that PostgreSQL's triggers captured their place in the log (D32).
///
/// One turn is one transaction that holds the row of the log's head, so turns of several replicas follow each other.
/// It takes whole transactions in the order of their greatest outbox id: a transaction that changes a row after another
/// one committed draws a greater id, so the changes of one row stand in the order in which they happened. The outbox is
/// read after the head's row is locked, with a snapshot in which a transaction is there with all its rows or with none.
struct PostgresNumbering: Sendable {
    /// Transactions that one turn takes.
    private static let transactionsMax = 200
    /// Pause between two looks when nobody says that there is something.
    private static let pause = Duration.milliseconds(250)

    let database: Database
    let log: any LogStore
    /// Raised after a write of this replica was committed.
    let nudge = LogSignal()
    let catalog: @Sendable () -> Catalog

    /// Numbers until its task is cancelled, with one connection at a time. A database that is away is asked again after
    /// the pause.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in nudge.stream { try? await turn() }
            }
            group.addTask {
                while !Task.isCancelled {
                    nudge.raise()
                    try? await Task.sleep(for: Self.pause)
                }
            }
        }
    }

    /// Numbers what is there, and says so.
    func turn() async throws {
        while true {
            let waits = try await database.read { session in
                try session.query("select from martlet.outbox limit 1").isEmpty == false
            }
            guard waits else { return }
            let catalog = catalog()
            let count = try await database.write { try Self.number(catalog, $0) }
            guard count > 0 else { return }
            log.signal.raise()
        }
    }

    /// Numbers some transactions in the session's own. Returns how many entries it wrote.
    static func number(_ known: Catalog, _ session: DatabaseSession) throws -> Int {
        let locked = try TableLog.head(LogStream.rows, session, lock: " for update")
        let head = try PostgresLineage.follow(locked, LogStream.rows, session)
        #if MUTANT_LOG_NUMBER_BY_ID
            let order = "o.id"
        #else
            let order = "t.last, o.id"
        #endif
        let rows = try session.query(
            """
            with t as (select xid, max(id) as last from martlet.outbox where stream = $1 group by xid \
            order by last limit \(transactionsMax)) \
            select o.id, o.xid, o.type, o.relation[1], o.relation[2], o.at, o.record, o.old_record, o.headers \
            from martlet.outbox o join t using (xid) order by \(order)
            """, [.text(LogStream.rows)])
        guard !rows.isEmpty else { return 0 }
        // Another replica may have migrated meanwhile.
        let version = try PostgresCatalogReader(session: session).version()
        let catalog = version == known.version ? known : try PostgresCatalogReader(session: session).read()
        var images: [QualifiedName: RowImage] = [:]
        var transactions: [String: String] = [:]
        var block = Block(epoch: head.epoch, first: head.head + 1)
        var bytes: Int64 = 0
        for row in rows {
            let entry = try entry(row, catalog, &images)
            bytes += Int64(entry.body.count) + LogEntry.overheadBytes
            let xid = row[1].textValue ?? ""
            let transaction = transactions[xid] ?? MartletFunctions.randomUUID()
            transactions[xid] = transaction
            block.append(entry, time: row[5].integerValue ?? 0, transaction: transaction)
            if block.isFull { try block.insert(session) }
        }
        try block.insert(session)
        try session.execute(
            "update martlet.log_head set head = $2, bytes = bytes + $3 where stream = $1",
            [.text(LogStream.rows), .integer(head.head + Int64(rows.count)), .integer(bytes)])
        let ids = rows.map { $0[0].textValue ?? "0" }.joined(separator: ",")
        try session.execute("delete from martlet.outbox where id = any($1::bigint[])", [.text("{\(ids)}")])
        return rows.count
    }

    private static func entry(
        _ row: SQLRow, _ catalog: Catalog, _ images: inout [QualifiedName: RowImage]
    ) throws -> RowImage.Written {
        let type = row[2].textValue ?? ""
        if type == LogEntryType.schemaChanged { return .schemaChange(version: catalog.version) }
        let name = QualifiedName(row[3].textValue ?? "", row[4].textValue ?? "")
        // A table that is gone by now has no columns to tell; its rows still count.
        let image = images[name] ?? RowImage(catalog.relations[name] ?? Relation(name: name), version: catalog.version)
        images[name] = image
        return image.entry(
            type, record: row[6].textValue.map { Array($0.utf8) }, oldRecord: row[7].textValue.map { Array($0.utf8) },
            trace: TraceContext(logHeaders: row[8].textValue ?? ""))
    }
}

/// Entries that one statement inserts: a statement for each takes a millisecond, and live changes would wait for it.
private struct Block {
    private static let entriesMax = 1_000
    private static let bytesMax = 4 << 20

    private let epoch: Int64
    private var first: Int64
    private var count = 0
    private var bytes = 0
    /// The literals of the arrays, without the closing brace: id, type, key, time, transaction, headers, body.
    private var columns = [[UInt8]](repeating: [UInt8(ascii: "{")], count: 7)

    init(epoch: Int64, first: Int64) {
        self.epoch = epoch
        self.first = first
    }

    var isFull: Bool { count >= Self.entriesMax || bytes >= Self.bytesMax }

    mutating func append(_ entry: RowImage.Written, time: Int64, transaction: String) {
        let texts = [
            LogIdentity.identifier(at: time), entry.type, entry.key, String(time), transaction, entry.headers,
        ]
        for (place, value) in (texts.map { Array($0.utf8) } + [entry.body]).enumerated() {
            if count > 0 { columns[place].append(UInt8(ascii: ",")) }
            Self.quote(value, into: &columns[place])
        }
        count += 1
        bytes += entry.body.count
    }

    /// An element of an array literal.
    private static func quote(_ value: [UInt8], into literal: inout [UInt8]) {
        literal.append(UInt8(ascii: "\""))
        for byte in value {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { literal.append(UInt8(ascii: "\\")) }
            literal.append(byte)
        }
        literal.append(UInt8(ascii: "\""))
    }

    /// Inserts what was appended, and begins anew behind it.
    mutating func insert(_ session: DatabaseSession) throws {
        guard count > 0 else { return }
        let literals = columns.map { SQLValue.text(String(decoding: $0 + [UInt8(ascii: "}")], as: UTF8.self)) }
        try session.execute(
            """
            insert into martlet.log (stream, epoch, seq, id, type, key, at, tx, headers, body) \
            select $1, $2, $3::bigint + n - 1, id, type, key, at, tx, headers, convert_to(body, 'UTF8') \
            from unnest($4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::uuid[], $9::text[], $10::text[]) \
            with ordinality as t (id, type, key, at, tx, headers, body, n)
            """, [.text(LogStream.rows), .integer(epoch), .integer(first)] + literals)
        self = Block(epoch: epoch, first: first + Int64(count))
    }
}

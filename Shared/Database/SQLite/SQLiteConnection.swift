// SPDX-License-Identifier: Apache-2.0

import CSQLite

/// One connection, used by the one thread that made it.
@safe final class SQLiteConnection: SessionBackend {
    enum Role { case writer, reader }

    let engine = DatabaseEngine.sqlite
    private let handle: OpaquePointer
    private var statements: [String: SQLiteStatement] = [:]
    private var uses: UInt64 = 0
    /// Kept alive for the C callbacks, which hold them unretained.
    private let hooks: SQLiteHooks
    /// What the work that runs now has to stop for; asked by the progress handler.
    var interruption: Interruption? {
        get { hooks.interruption }
        set { hooks.interruption = newValue }
    }

    init(path: String, role: Role, configuration: DatabaseConfiguration) throws(DatabaseError) {
        var opened: OpaquePointer?
        // NOMUTEX: the connection has one thread. Readers open the file for writing too, since WAL needs its index
        // file; `query_only` is what keeps them from writing.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let result = unsafe sqlite3_open_v2(path, &opened, flags, nil)
        guard let opened = unsafe opened else {
            throw DatabaseError(sqlState: "53200", message: "out of memory while opening \(path)")
        }
        unsafe handle = opened
        hooks = SQLiteHooks()
        guard result == SQLITE_OK else {
            let message = unsafe String(cString: sqlite3_errmsg(opened))
            unsafe sqlite3_close_v2(opened)
            throw SQLiteError.error(code: result, message: "cannot open \(path): \(message)")
        }
        unsafe hooks.install(on: opened, configuration: configuration)
        if role == .writer, let capture = configuration.capture { unsafe hooks.install(capture, on: opened) }
        try prepareConnection(role, checksForeignKeys: configuration.checksForeignKeys)
    }

    deinit {
        statements.removeAll()
        unsafe sqlite3_close_v2(handle)
    }

    private func prepareConnection(_ role: Role, checksForeignKeys: Bool) throws(DatabaseError) {
        unsafe sqlite3_busy_timeout(handle, 5_000)
        try executeScript("pragma foreign_keys = \(checksForeignKeys ? "on" : "off")")
        try executeScript("pragma temp_store = memory")
        switch role {
        case .writer:
            try executeScript("pragma journal_mode = wal")
            try executeScript("pragma synchronous = full")
            // The file shrinks back after a long reader let the log grow.
            try executeScript("pragma journal_size_limit = 67108864")
        case .reader:
            try executeScript("pragma query_only = on")
            // SQLite before 3.51.3 can corrupt a log that several connections checkpoint: only the writer does.
            try executeScript("pragma wal_autocheckpoint = 0")
        }
    }

    /// How many changes the write has so far.
    var captureMark: Int { hooks.changes?.list.count ?? 0 }
    /// Forgets the changes after a mark, as a roll-back did with their rows.
    func cutCapture(to mark: Int) { hooks.changes?.cut(to: mark) }
    func forgetCapture() { hooks.changes?.removeAll() }

    /// Hands the write's changes to the log, in the write's own savepoint.
    func flushCapture(_ session: DatabaseSession) throws {
        guard let changes = hooks.changes else { return }
        if changes.isOverfull {
            throw DatabaseError(sqlState: "54000", message: "the write changes more rows than its log may hold")
        }
        guard !changes.list.isEmpty else { return }
        let list = changes.list
        changes.removeAll()
        try changes.capture.sink(session, list)
    }

    /// No transaction is open: a roll-back of all has happened, or nothing began.
    var isInAutocommit: Bool { unsafe sqlite3_get_autocommit(handle) != 0 }

    /// Foreign keys that only COMMIT would find broken are counted here (D20a).
    var hasDeferredForeignKeyViolations: Bool {
        var current: Int32 = 0
        var highest: Int32 = 0
        unsafe sqlite3_db_status(handle, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0)
        return current != 0
    }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws(DatabaseError) -> Int {
        let statement = try start(sql, parameters)
        defer { finish(statement) }
        var result: Int32
        repeat { result = unsafe sqlite3_step(statement.handle) } while result == SQLITE_ROW
        guard result == SQLITE_DONE else { throw failure(result) }
        return unsafe sqlite3_stmt_readonly(statement.handle) != 0 ? 0 : Int(sqlite3_changes64(handle))
    }

    func forEachRow(
        _ sql: String, _ parameters: [SQLValue], _ body: (borrowing RowCursor) throws -> Bool
    ) throws {
        let statement = try start(sql, parameters)
        defer { finish(statement) }
        let cursor = unsafe RowCursor(sqlite: statement.handle)
        while true {
            let result = unsafe sqlite3_step(statement.handle)
            if result == SQLITE_DONE { return }
            guard result == SQLITE_ROW else { throw failure(result) }
            guard try body(cursor) else { return }
        }
    }

    func executeScript(_ sql: String) throws(DatabaseError) {
        hooks.thrown = nil
        let result = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw failure(result) }
    }

    /// The error of the last call; what a host function threw comes first.
    private func failure(_ code: Int32) -> DatabaseError {
        if let thrown = hooks.thrown {
            hooks.thrown = nil
            return thrown
        }
        return SQLiteError.error(code: code, message: unsafe String(cString: sqlite3_errmsg(handle)))
    }

    private func start(_ sql: String, _ parameters: [SQLValue]) throws(DatabaseError) -> SQLiteStatement {
        hooks.thrown = nil
        let statement = try prepared(sql)
        statement.isBusy = true
        let result = statement.bind(parameters)
        guard result == SQLITE_OK else {
            finish(statement)
            throw failure(result)
        }
        return statement
    }

    private func finish(_ statement: SQLiteStatement) { statement.reset() }

    private func prepared(_ sql: String) throws(DatabaseError) -> SQLiteStatement {
        uses += 1
        if let cached = statements[sql], !cached.isBusy {
            cached.lastUse = uses
            return cached
        }
        var made: OpaquePointer?
        var text = sql
        let result = text.withUTF8 { utf8 in
            unsafe utf8.withMemoryRebound(to: CChar.self) {
                unsafe sqlite3_prepare_v3(
                    handle, $0.baseAddress, Int32($0.count), UInt32(SQLITE_PREPARE_PERSISTENT), &made, nil)
            }
        }
        guard result == SQLITE_OK else { throw failure(result) }
        guard let made = unsafe made else {
            throw DatabaseError(sqlState: "42601", message: "the statement is empty")
        }
        let statement = unsafe SQLiteStatement(made)
        statement.lastUse = uses
        if statements[sql] == nil {
            if statements.count >= DatabaseLimits.statementsMax { dropLeastRecentlyUsed() }
            statements[sql] = statement
        }
        return statement
    }

    /// Drops a quarter at once, so that the search is paid once in many statements.
    private func dropLeastRecentlyUsed() {
        let oldest = statements.filter { !$0.value.isBusy }.sorted { $0.value.lastUse < $1.value.lastUse }
        for (sql, _) in oldest.prefix(DatabaseLimits.statementsMax / 4) { statements[sql] = nil }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletWire

extension PostgresEngine {
    package func putUser(_ change: UserChange, session: RequestSession) async throws -> UserOutcome {
        try await refusing(UserOutcome.refused) {
            try await self.administration.write(deadline: session.deadline) { try Self.put(change, session, $0) }
        }
    }

    package func deleteUser(id: String, session: RequestSession) async throws -> UserDeletion {
        try await refusing(UserDeletion.refused) {
            try await self.administration.write(deadline: session.deadline) { database in
                try Self.become(session, of: id, database)
                let deleted = try database.execute("delete from auth.users where id = $1", [.text(id)])
                try database.executeScript("set local role none")
                try database.execute("delete from martlet.user_version where id = $1", [.text(id)])
                try database.execute(
                    "insert into martlet.user_tombstone (id) values ($1) on conflict do nothing", [.text(id)])
                return deleted > 0 ? .deleted : .absent
            }
        }
    }

    /// Of one answer, and of one value in it, in bytes.
    private static let newsBytesMax = 1 << 20
    private static let newsValueBytesMax = 64 << 10

    package func userNews(acknowledged: [Int64], max: Int, session: RequestSession) async throws -> [UserNews] {
        if !acknowledged.isEmpty {
            try await administration.write(deadline: session.deadline) { try Self.forget(acknowledged, $0) }
        }
        return try await administration.read(deadline: session.deadline) { database in
            let news = try database.query(
                """
                select news.number, news.id, version.version from martlet.user_news news \
                left join martlet.user_version version on version.id = news.id order by news.number limit $1
                """, [.integer(Int64(max))])
            var bytes = 0
            var told: [UserNews] = []
            for row in news where bytes < Self.newsBytesMax {
                let id = row[1].textValue ?? ""
                // What is longer than auth takes from anybody stays what it is there.
                let columns = try Self.current([.text(id)], database)?.filter {
                    $0.value?.utf8.count ?? 0 <= Self.newsValueBytesMax
                }
                bytes += columns?.reduce(0) { $0 + ($1.value?.utf8.count ?? 0) } ?? 0
                told.append(
                    UserNews(
                        number: row[0].integerValue ?? 0, id: id, version: row[2].integerValue ?? 0, row: columns))
            }
            return told
        }
    }

    /// Takes changes off the list, with the password hashes that auth has now: nobody needs them twice.
    private static func forget(_ numbers: [Int64], _ database: DatabaseSession) throws {
        let list = numbers.map(String.init).joined(separator: ", ")
        let users = try database.query("delete from martlet.user_news where number in (\(list)) returning id")
        // The application's triggers have no part in this, as far as the login may say so.
        let isSuperuser = try database.query("select current_setting('is_superuser')").first?[0].textValue == "on"
        if isSuperuser { try database.executeScript("set local session_replication_role = replica") }
        try database.executeScript("set local martlet.user_of_auth = '*'")
        // One that changed again in the meantime may have a new password; it is given once more.
        for id in Set(users.compactMap { $0[0].textValue }).sorted() {
            // Who changes the user right now is waited for, so that the next statement sees that change's news.
            try database.execute("select from auth.users where id = $1 for update", [.text(id)])
            try database.execute(
                """
                update auth.users set encrypted_password = '' where id = $1 and encrypted_password <> '' \
                and not exists (select from martlet.user_news where id = $1)
                """, [.text(id)])
        }
    }

    /// What a trigger, a check or a key says is an outcome; a failing environment is an error.
    private func refusing<Outcome>(
        _ refused: (RowError) -> Outcome, _ body: () async throws -> Outcome
    ) async throws -> Outcome {
        do {
            let outcome = try await body()
            numbering.nudge.raise()
            return outcome
        } catch let error as DatabaseError where !UserRefusal.isEnvironment(error) {
            return refused(RowError(error))
        }
    }

    private static func put(
        _ change: UserChange, _ session: RequestSession, _ database: DatabaseSession
    ) throws -> UserOutcome {
        let id: [SQLValue] = [.text(change.id)]
        // Two changes of one user wait for each other, also when neither finds a row to lock.
        try database.execute("select pg_advisory_xact_lock(hashtextextended($1::text, 0))", id)
        guard try database.query("select from martlet.user_tombstone where id = $1", id).isEmpty else { return .gone }
        // Locked in the order in which SQL that changes a user locks them, and read afterwards: what it commits counts.
        let row = try current(id, database, locked: true)
        let versions = try database.query(
            "select version, auth_version from martlet.user_version where id = $1 for update", id
        ).first
        let stored = versions?[0].integerValue ?? 0
        if let row {
            if change.version <= versions?[1].integerValue ?? 0 { return .unchanged(row: row, version: stored) }
            if change.baseVersion != stored || change.isCreation { return .stale(row: row, version: stored) }
        } else if !change.isCreation {
            return .gone
        }
        try become(session, of: change.id, database)
        try write(change, database)
        try database.executeScript("set local role none")
        try database.execute(
            """
            insert into martlet.user_version (id, version, auth_version) values ($1, $2, $2) \
            on conflict (id) do update set version = excluded.version, auth_version = excluded.auth_version
            """, id + [.integer(change.version)])
        guard let after = try current(id, database) else { return .gone }
        return .applied(row: after, version: change.version)
    }

    private static func write(_ change: UserChange, _ database: DatabaseSession) throws {
        let columns = change.columns.filter { $0.name != "id" }
        let names = columns.map { PostgresStatement.quote($0.name) }
        let values = [.text(change.id)] + columns.map { column in column.value.map { SQLValue.text($0) } ?? .null }
        if change.isCreation {
            let places = (1...values.count).map { "$\($0)" }.joined(separator: ", ")
            try database.execute(
                "insert into auth.users (\((["id"] + names).joined(separator: ", "))) values (\(places))", values)
        } else if !columns.isEmpty {
            let assignments = names.enumerated().map { "\($1) = $\($0 + 2)" }.joined(separator: ", ")
            try database.execute("update auth.users set \(assignments) where id = $1", values)
        }
    }

    private static func current(
        _ id: [SQLValue], _ database: DatabaseSession, locked: Bool = false
    ) throws -> [UserColumn]? {
        let lock = locked ? " for update" : ""
        return try database.query("select * from auth.users where id = $1\(lock)", id).first.map { row in
            zip(row.columnNames, row.values).map { UserColumn($0, $1.textValue) }
        }
    }

    /// Acts as the authentication service, as triggers on `auth.users` expect.
    ///
    /// - Parameter id: the user that auth changes: it hears of no other one by the answer.
    private static func become(_ session: RequestSession, of id: String, _ database: DatabaseSession) throws {
        try database.execute(
            """
            select set_config('role', 'supabase_auth_admin', true), set_config('request.jwt.claims', $1, true), \
            set_config('martlet.request_id', $2, true), set_config('martlet.traceparent', $3, true), \
            set_config('martlet.user_of_auth', $4, true)
            """, [session.claims, session.trace.requestID, session.trace.traceparent, id].map { .text($0) })
    }
}

/// Which errors are a refusal of the change, and which say that nobody could decide.
enum UserRefusal {
    /// SQLSTATE classes of connections, transactions, resources and faults.
    private static let environmentClasses: Set<String> = ["08", "25", "40", "53", "55", "57", "58", "XX"]

    static func isEnvironment(_ error: DatabaseError) -> Bool {
        environmentClasses.contains(String(error.sqlState.prefix(2)))
    }
}

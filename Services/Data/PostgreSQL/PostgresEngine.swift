// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
package import MartletSQL
import MartletWire
import Synchronization

/// URLs of a server that lets in these roles themselves.
package struct PostgresLogins: Sendable {
    /// As `authenticator`, for requests.
    package let requests: String
    /// As `postgres`, the application's owner, for what it has scheduled.
    package let owner: String

    static let allow = """
        do $$ begin
            if exists (select from pg_roles where rolname in ('authenticator', 'postgres') and not rolcanlogin) then
                alter role authenticator login;
                alter role postgres login;
            end if;
        end $$;
        """
}

/// The application's tables on PostgreSQL, with the server's own roles, policies and triggers.
package final class PostgresEngine: RowEngine {
    /// The login's.
    let url: String
    /// Runs as the login: bootstrap, users.
    let administration: Database
    /// Runs as `authenticator`, which has no rights of its own until a request takes a role.
    let requests: Database
    private let cached: SnapshotBox
    private let exposedSchemas: [String]
    /// Tables whose changes are logged though they are not published.
    let captured: Set<QualifiedName>
    package let log: any LogStore
    /// Numbers what this and other replicas captured; runs while the service does.
    let numbering: PostgresNumbering
    let schedules: PostgresSchedules

    struct Snapshot {
        var schema: SchemaCache
        /// Roles that requests may take.
        var roles: Set<String>
        /// Some function of the application speaks of `response.…`: a trigger of a write may set it. Where none does,
        /// writes are spared the question.
        var setsResponse: Bool
    }

    /// The snapshot, for those who outlive a call.
    private final class SnapshotBox: Sendable {
        private let value: Mutex<Snapshot>

        init(_ snapshot: Snapshot) { value = Mutex(snapshot) }

        func withLock<Result: Sendable>(_ body: (inout sending Snapshot) -> sending Result) -> Result {
            value.withLock(body)
        }
    }

    package var schema: SchemaCache { cached.withLock { $0.schema } }

    /// Roles that requests may take.
    var requestRoles: Set<String> { cached.withLock { $0.roles } }

    /// Connects, brings the platform's schemas and roles into place, and reads the schema.
    ///
    /// - Parameters:
    ///   - url: libpq URL of a login that may make roles; the database belongs to this service.
    ///   - poolSize: connections for requests.
    ///   - captured: tables whose changes are logged though they are not published.
    ///   - logins: how the server lets in who is less than `url`'s login; nil: its connections take the roles, and SQL
    ///     that the application's own functions make up could leave them again.
    /// - Throws: `DatabaseError`.
    package static func open(
        url: String, poolSize: Int, exposedSchemas: [String] = ["public"], captured: Set<QualifiedName> = [],
        logins: PostgresLogins? = nil
    ) async throws -> PostgresEngine {
        let administration = try Database(
            DatabaseConfiguration(location: .postgres(url: url), poolSize: 2, startupStatements: startupStatements))
        do {
            let isSuperuser = try await administration.write { session in
                // Two processes that start at once would make the same schemas.
                try session.execute("select pg_advisory_xact_lock(\(bootstrapLock))")
                for script in PostgresPlatform.all { try session.executeScript(script) }
                try TableLog.prepare(session)
                let head = try TableLog.head(LogStream.rows, session, lock: " for update")
                _ = try PostgresLineage.follow(head, LogStream.rows, session)
                try PostgresCapture.synchronise(captured, session)
                if logins != nil { try session.executeScript(PostgresLogins.allow) }
                let rows = try session.query("select rolsuper from pg_roles where rolname = current_user")
                return rows.first?[0].textValue == "t"
            }
            let snapshot = try await administration.read { try read($0, exposedSchemas) }
            let become = isSuperuser ? "set session authorization authenticator" : "set role authenticator"
            let requests = try Database(
                DatabaseConfiguration(
                    location: .postgres(url: logins?.requests ?? url), poolSize: poolSize,
                    startupStatements: startupStatements + (logins == nil ? [become] : [])))
            return PostgresEngine(
                url, logins?.owner ?? url, administration, requests, snapshot, exposedSchemas, captured)
        } catch {
            await administration.close()
            throw error
        }
    }

    /// What each connection begins with.
    static let startupStatements = ["set search_path = public, extensions"]

    /// Key of the advisory lock that orders starts; any fixed number.
    static let bootstrapLock = 7_230_711_901_322_017_103

    private init(
        _ url: String, _ jobsURL: String, _ administration: Database, _ requests: Database, _ snapshot: Snapshot,
        _ exposedSchemas: [String], _ captured: Set<QualifiedName>
    ) {
        self.url = url
        self.administration = administration
        let log = TableLog(administration)
        self.log = log
        let cached = SnapshotBox(snapshot)
        self.cached = cached
        numbering = PostgresNumbering(
            database: administration, log: log, catalog: { cached.withLock { $0.schema }.catalog })
        schedules = PostgresSchedules(administration: administration, url: jobsURL, nudge: numbering.nudge)
        self.requests = requests
        self.exposedSchemas = exposedSchemas
        self.captured = captured
    }

    /// Numbers what was captured so far.
    package func numberLog() async throws { try await numbering.turn() }

    /// Also runs the jobs that SQL has scheduled.
    package func runLog() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [numbering] in await numbering.run() }
            group.addTask { [schedules] in await schedules.run() }
        }
    }

    package func close() async {
        await requests.close()
        await administration.close()
    }

    /// Reads the schema again: after migrations, and when somebody changed it by hand.
    package func reloadSchema() async throws {
        let snapshot = try await administration.read { [exposedSchemas] in try Self.read($0, exposedSchemas) }
        cached.withLock { $0 = snapshot }
    }

    private static func read(_ session: DatabaseSession, _ exposedSchemas: [String]) throws -> Snapshot {
        let catalog = try PostgresCatalogReader(session: session).read()
        // A migration may say more than the settings do, as PostgREST takes it.
        let named = try session.query(
            """
            select substring(setting from '=(.*)') from pg_db_role_setting, unnest(setconfig) setting \
            where setrole = 'authenticator'::regrole and setting like 'pgrst.db_schemas=%' \
            and setdatabase in (0, (select oid from pg_database where datname = current_database())) \
            order by setdatabase desc limit 1
            """
        ).first?[0].textValue.map { text in
            text.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\"" } }.filter { !$0.isEmpty }
        }
        let exposedSchemas = named.flatMap { $0.isEmpty ? nil : $0 } ?? exposedSchemas
        let roles = try session.query("select rolname from pg_roles where pg_has_role('authenticator', oid, 'member')")
        let speaking = try session.query(
            """
            select from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
            where n.nspname !~ '^(pg_|information_schema$|martlet$)' and p.prosrc like '%response.%' limit 1
            """)
        return Snapshot(
            schema: SchemaCache(catalog: catalog, exposedSchemas: exposedSchemas),
            roles: Set(roles.compactMap { $0[0].textValue }), setsResponse: !speaking.isEmpty)
    }

    // MARK: Requests

    package func read(_ plan: ReadPlan, session: RequestSession) async throws -> RowsResult {
        try checkRole(session.role)
        let compiled = PostgresRead(plan)
        return try await requests.read(deadline: session.deadline) { database in
            try Self.take(session, database)
            return try compiled.run(database)
        }
    }

    package func write(
        _ plan: WritePlan, session: RequestSession,
        finish: @escaping @Sendable (RowsResult) throws -> FinishedReply
    ) async throws -> FinishedReply {
        try checkRole(session.role)
        let compiled = try PostgresWrite(plan, schema.catalog)
        let setsResponse = cached.withLock { $0.setsResponse }
        let written = try await requests.write(deadline: session.deadline) { database in
            if let key = session.idempotency, let earlier = try PostgresIdempotency.claim(key, database) {
                return earlier
            }
            try Self.take(session, database, clearsResponse: setsResponse)
            var reply = try finish(try compiled.run(database))
            if setsResponse {
                let (status, headers) = try Self.responseSettings(database)
                try ResponseSettings.apply(status: status, headers: headers, to: &reply)
            }
            if let key = session.idempotency {
                try database.execute("select set_config('role', 'authenticator', true)")
                try PostgresIdempotency.record(reply, under: key, database)
            }
            return reply
        }
        numbering.nudge.raise()
        return written
    }

    /// Refuses a role that the token names and requests may not take, in the server's words.
    func checkRole(_ role: String) throws(RowError) {
        let (exists, isAllowed) = cached.withLock { ($0.schema.catalog.roles[role] != nil, $0.roles.contains(role)) }
        if !exists { throw RowError("22023", "role \"\(role)\" does not exist") }
        if !isAllowed { throw RowError("42501", "permission denied to set role \"\(role)\"") }
    }

    /// Takes the request's role and settings for the rest of the transaction (rest contract 17.2).
    ///
    /// - Parameter clearsResponse: what SQL says of the answer will be read: what an earlier request left in the
    ///   session belongs to none after it.
    static func take(_ session: RequestSession, _ database: DatabaseSession, clearsResponse: Bool = false) throws {
        let cleared = ", set_config('response.status', '', true), set_config('response.headers', '', true)"
        try database.execute(
            """
            select set_config('role', $1, true), set_config('request.jwt.claims', $2, true), \
            set_config('request.method', $3, true), set_config('request.path', $4, true), \
            set_config('request.headers', $5, true), set_config('martlet.request_id', $6, true), \
            set_config('martlet.traceparent', $7, true), \
            set_config('search_path', 'public, extensions', true)\(clearsResponse ? cleared : "")
            """,
            [
                session.role, session.claims, session.method, session.path, session.headers, session.trace.requestID,
                session.trace.traceparent,
            ].map { .text($0) })
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletDatabase
package import MartletSQL
import MartletWire
import Synchronization

/// The application's tables on SQLite: privileges, policies, defaults and foreign keys are the host's work, from the
/// catalogue that the migrations left (D24a).
package final class SQLiteEngine: RowEngine {
    let database: Database
    private let current: Mutex<SQLiteSchema>
    let exposedSchemas: [String]
    /// For the connection that changes the schema.
    let schemaConfiguration: DatabaseConfiguration
    package let log: any LogStore
    let writer: SQLiteLogWriter
    private let capture: ChangeCapture

    package var schema: SchemaCache { snapshot.cache }

    var snapshot: SQLiteSchema { current.withLock { $0 } }

    /// Roles that requests may take: those of `authenticator`.
    static let requestRoles: Set<String> = ["anon", "authenticated", "service_role", "authenticator"]

    /// Opens the file, making it when absent, and brings the platform's tables into it.
    ///
    /// - Parameters:
    ///   - captured: tables whose changes are logged though they are not published.
    ///   - deferWakeUp: as `DatabaseConfiguration` has it.
    /// - Throws: `DatabaseError`.
    package static func open(
        path: String, readers: Int, exposedSchemas: [String] = ["public"], captured: Set<QualifiedName> = [],
        deferWakeUp: WakeUpDeferral? = nil
    ) async throws -> SQLiteEngine {
        let writer = SQLiteLogWriter(captured: captured)
        let capture = ChangeCapture { session, changes in try writer.write(changes, session) }
        var configuration = DatabaseConfiguration(
            location: .sqlite(path: path), readers: readers, functions: MartletFunctions.all,
            collations: MartletFunctions.collations + [DocumentOrder.sqlite], aggregates: MartletFunctions.aggregates,
            capture: capture)
        configuration.deferWakeUp = deferWakeUp
        let database = try Database(configuration)
        do {
            let catalog = try await database.write(alone: true) { try SQLitePlatform.prepare($0) }
            let engine = SQLiteEngine(database, configuration, exposedSchemas, writer, capture)
            engine.take(catalog)
            return engine
        } catch {
            await database.close()
            throw error
        }
    }

    private init(
        _ database: Database, _ configuration: DatabaseConfiguration, _ exposedSchemas: [String],
        _ writer: SQLiteLogWriter, _ capture: ChangeCapture
    ) {
        self.database = database
        self.writer = writer
        self.capture = capture
        log = TableLog(database)
        var changing = configuration
        changing.readers = 1
        changing.checksForeignKeys = false
        // Rows that migrations and the seed write are no changes (data-semantics 2).
        changing.capture = nil
        schemaConfiguration = changing
        self.exposedSchemas = exposedSchemas
        current = Mutex(SQLiteSchema(SchemaCache(catalog: Catalog(), exposedSchemas: exposedSchemas)))
    }

    func take(_ catalog: Catalog) {
        let schema = SQLiteSchema(SchemaCache(catalog: catalog, exposedSchemas: exposedSchemas))
        current.withLock { $0 = schema }
        capture.replaceTables(writer.take(catalog))
    }

    /// Runs a write whose changes belong into the log, and says so once they are committed.
    func write<Result: Sendable>(
        _ trace: TraceContext, deadline: ContinuousClock.Instant?,
        _ body: @escaping @Sendable (DatabaseSession) throws -> Result
    ) async throws -> Result {
        let annotation = trace.line
        let result = try await database.write(deadline: deadline) { session in
            session.annotation = annotation
            return try body(session)
        }
        if writer.takeNews() { log.signal.raise() }
        return result
    }

    /// Entries are written with their rows; nothing is left to do.
    package func runLog() async {}

    package func close() async { await database.close() }

    // MARK: Requests

    package func read(_ plan: ReadPlan, session: RequestSession) async throws -> RowsResult {
        try checkRole(session.role)
        let schema = snapshot
        let compiled = try schema.read(plan, RowAccess(schema: schema, session: session))
        return try await database.read(deadline: session.deadline) { try compiled.run($0) }
    }

    package func write(
        _ plan: WritePlan, session: RequestSession,
        finish: @escaping @Sendable (RowsResult) throws -> FinishedReply
    ) async throws -> FinishedReply {
        try checkRole(session.role)
        let access = RowAccess(schema: snapshot, session: session)
        return try await write(session.trace, deadline: session.deadline) { database in
            if let key = session.idempotency, let earlier = try SQLiteIdempotency.find(key, access, database) {
                return earlier
            }
            let reply = try finish(try RowWrites(session: database, access: access, plan: plan).run())
            #if !MUTANT_DATA_KEY_FORGOTTEN
                if let key = session.idempotency { try SQLiteIdempotency.record(reply, under: key, access, database) }
            #endif
            return reply
        }
    }

    func checkRole(_ role: String) throws(RowError) {
        if snapshot.catalog.roles[role] == nil { throw RowError("22023", "role \"\(role)\" does not exist") }
        if !Self.requestRoles.contains(role) {
            throw RowError("42501", "permission denied to set role \"\(role)\"")
        }
    }
}

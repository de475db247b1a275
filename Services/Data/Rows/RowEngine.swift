// SPDX-License-Identifier: Apache-2.0

package import MartletSQL

/// The application's tables on one database engine. Two conform: SQLite and PostgreSQL; one suite runs on both.
///
/// Plans come from the planner, which checked every name against `schema`. Everything else (privileges, policies,
/// values that do not parse, constraints) is refused here, with PostgreSQL's SQLSTATE and message on both engines.
/// Errors are `RowError` or `DatabaseError`.
package protocol RowEngine: Sendable {
    /// The schema cache now: a cheap, synchronous snapshot. Replaced as a whole after migrations.
    var schema: SchemaCache { get }

    /// The change log of published tables and of those that were asked for, which every write of this engine is in.
    var log: any LogStore { get }

    /// Does what the log needs beside the writes themselves, until its task is cancelled.
    func runLog() async

    /// Applies the migrations that are new, in order, one transaction a file, and reloads `schema`.
    ///
    /// An edited or missing applied file, and a new file older than the last applied one, are refused before
    /// anything runs. With `requiresRowSecurity` so is a set of files that leaves a table of an exposed schema without
    /// row level security. Throws `MigrationFailure`.
    func migrate(_ files: [MigrationFile], requiresRowSecurity: Bool) async throws -> MigrationReport

    /// Runs a file of the seed unless it has run before. Returns whether it ran now. Throws `MigrationFailure`.
    func seed(_ sql: String, fileName: String) async throws -> Bool

    /// Runs a read in one read-only transaction.
    func read(_ plan: ReadPlan, session: RequestSession) async throws -> RowsResult

    /// Runs a write in one transaction.
    ///
    /// `finish` turns the result into the answer, inside the transaction: when it throws (a post-condition such as
    /// "exactly one row"), everything is rolled back. It may run more than once and has no effects. With
    /// `session.idempotency` the answer is recorded in the same transaction; a repeat with the same request hash
    /// brings the recorded answer, one with another hash is `RowError.idempotencyMismatch`.
    func write(
        _ plan: WritePlan, session: RequestSession,
        finish: @escaping @Sendable (RowsResult) throws -> FinishedReply
    ) async throws -> FinishedReply

    /// Calls a function of the database in one transaction, which changes nothing when the plan says so.
    ///
    /// `finish` and `session.idempotency` are as in `write`; without a key a call that changes nothing runs as a read.
    func call(
        _ plan: CallPlan, session: RequestSession,
        finish: @escaping @Sendable (CallResult) throws -> FinishedReply
    ) async throws -> FinishedReply

    /// Prepares tables for plans with `ruleColumns`; tables that are not named are none any more.
    func prepareRules(_ tables: Set<QualifiedName>) async throws

    /// Runs several steps in one transaction that no other one of its kind interferes with.
    ///
    /// Throws what `judge` and `finish` throw, as it is, and then nothing was done.
    func transact(_ transaction: RowTransaction) async throws -> FinishedReply

    /// The answer that is recorded under a key, if there is one; throws as `write` does for another request's key.
    func recorded(under key: IdempotencyKey, deadline: ContinuousClock.Instant?) async throws -> FinishedReply?

    /// Creates or changes a row of `auth.users` as `supabase_auth_admin`, with the application's triggers (D25).
    func putUser(_ change: UserChange, session: RequestSession) async throws -> UserOutcome

    /// Deletes a row of `auth.users`, leaving a tombstone in the same transaction.
    func deleteUser(id: String, session: RequestSession) async throws -> UserDeletion

    /// Users that SQL made, changed or deleted, oldest first, and forgets those that were taken over (D25).
    ///
    /// - Parameters:
    ///   - acknowledged: numbers of changes that the caller has. Their password hashes are not kept here any longer.
    ///   - max: most changes of the answer.
    func userNews(acknowledged: [Int64], max: Int, session: RequestSession) async throws -> [UserNews]

    /// Says which callers may see which changes of the log: the row is the one that was logged, privileges, policies
    /// and other tables are those of now.
    func visible(_ question: VisibilityQuestion) async throws -> VisibilityAnswer

    /// The published tables, and where the log stands.
    ///
    /// - Parameters:
    ///   - schema: a schema's name; empty or `*` for all.
    ///   - table: a table's name; empty or `*` for all.
    func describeFeed(
        schema: String, table: String, deadline: ContinuousClock.Instant?
    ) async throws -> FeedDescription

    /// Waits for what runs and closes every connection. Final.
    func close() async
}

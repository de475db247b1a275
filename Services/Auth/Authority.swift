// SPDX-License-Identifier: Apache-2.0

package import MartletAccessTokens
package import MartletDatabase
package import MartletJSON
package import MartletWire
internal import Synchronization

/// The auth API behind `/auth/v1`: takes requests, answers them. Knows neither bus nor HTTP server.
package final class Authority: Sendable {
    let configuration: AuthConfiguration
    let database: Database
    let hasher: PasswordHasher
    let keys: KeyRing
    let encryption: EncryptionKeys
    let ledger: UserLedger
    let secrets: OneTimeSecrets
    /// There are mails in the outbox.
    let mailsWait: @Sendable () -> Void
    let clock: @Sendable () -> Timestamp
    /// When auth last knew everything that SQL did to users.
    private let knownAt: Mutex<Timestamp>
    private let observe: @Sendable (AuthObservation) -> Void
    /// Public keys of the project's own tokens, published beside ours.
    private let projectKeys: [JSONValue]

    /// Migrates the database and reads or makes the signing key.
    ///
    /// - Parameters:
    ///   - projectKeys: the JWK set of the project keys.
    ///   - mailsWait: is called when a mail was put into the outbox.
    ///   - observe: hears of what an operator should know.
    package init(
        configuration: AuthConfiguration, database: Database, directory: any UserDirectory, hasher: PasswordHasher,
        encryption: EncryptionKeys, projectKeys: JSONValue = ["keys": []],
        clock: @escaping @Sendable () -> Timestamp = { Timestamp.now() },
        mailsWait: @escaping @Sendable () -> Void = {},
        observe: @escaping @Sendable (AuthObservation) -> Void = { _ in }
    ) async throws(AuthError) {
        do {
            try await database.migrate(AuthSchema.migrations)
        } catch { throw AuthError(wrapping: error) }
        self.configuration = configuration
        self.database = database
        self.hasher = hasher
        self.encryption = encryption
        self.clock = clock
        knownAt = Mutex(clock())
        self.observe = observe
        self.projectKeys = projectKeys["keys"]?.arrayValue ?? []
        self.mailsWait = mailsWait
        secrets = try await OneTimeSecrets.loadOrMake(database: database, encryption: encryption)
        keys = try await KeyRing.loadOrMake(database: database, encryption: encryption, now: clock())
        ledger = UserLedger(database: database, directory: directory, clock: clock)
    }

    /// The keys that verify access tokens, as `/.well-known/jwks.json` and the bus publish them.
    package var keySet: JSONValue { ["keys": .array(keys.publicKeys.map { .object($0) } + projectKeys)] }

    package var issuer: String { configuration.issuer }

    /// Answers a request; errors in the envelope that its client asked for.
    package func answer(_ request: AuthRequest) async -> AuthReply {
        do throws(AuthError) {
            return try await RouteTable.shared.answer(request, by: self)
        } catch {
            if error.cause != nil || error.status >= 500 {
                observe(.failed(trace: request.trace, error: error))
            }
            return AuthReply(
                error, version: request.head["x-supabase-api-version"], requestID: request.trace.requestID)
        }
    }

    /// Answers what the edge sent on; a path or query that is no percent-encoded UTF-8 is refused.
    package func answer(
        _ head: HTTPRequestHead, body: [UInt8], principal: Principal, trace: TraceContext,
        deadline: ContinuousClock.Instant
    ) async -> AuthReply {
        do throws(AuthError) {
            return await answer(
                try AuthRequest(head: head, body: body, principal: principal, trace: trace, deadline: deadline))
        } catch {
            return AuthReply(error, version: head["x-supabase-api-version"], requestID: trace.requestID)
        }
    }

    /// Takes over what SQL did to users before a request that is about them. The application's database may be away for
    /// a while; after that a token could be one of somebody who was banned.
    func catchUp(_ request: AuthRequest) async throws(AuthError) {
        #if !MUTANT_AUTH_NEWS_IGNORED
            do throws(AuthError) {
                try await takeOver(request.trace, deadline: min(request.deadline, .now + AuthLimits.newsWait))
            } catch {
                guard clock() < knownAt.withLock({ $0 }).advanced(by: AuthLimits.newsAgeMax) else { throw error }
            }
        #endif
    }

    private func takeOver(_ trace: TraceContext, deadline: ContinuousClock.Instant) async throws(AuthError) {
        let begin = clock()
        let problems = try await ledger.takeOver(trace: trace, deadline: deadline)
        knownAt.withLock { $0 = max($0, begin) }
        for problem in problems { observe(.notTakenOver(problem)) }
    }

    /// Repeats the changes of users that the data service has not answered yet (D25). Run at start and now and then.
    package func settle(budget: Duration = .seconds(2)) async {
        do throws(AuthError) {
            if try await !ledger.settleAll(budget: budget) { return observe(.unsettled) }
            try await takeOver(.none, deadline: .now + budget)
        } catch where error.status == 503 {
            observe(.unsettled)
        } catch { observe(.failed(trace: .none, error: error)) }
    }

    /// Tells the operator.
    func report(_ observation: AuthObservation) { observe(observation) }
}

/// What an operator should know.
package enum AuthObservation: Sendable {
    /// A request failed by no fault of its client; the error's cause says why.
    case failed(trace: TraceContext, error: AuthError)
    /// A user whom SQL made or changed cannot be auth's.
    case notTakenOver(String)
    /// Changes of users wait for the data service.
    case unsettled
    /// The notification service will not ever take this mail.
    case mailRefused(id: String, trace: TraceContext, reason: String)
    /// Mails wait for the notification service.
    case mailsWait(reason: String)
    /// An old refresh token came back: its session was ended.
    case refreshReuse(trace: TraceContext, sessionID: String)
}

// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletAccessTokens
internal import MartletBus
internal import MartletDatabase
internal import MartletJSON
package import MartletServiceKit
package import MartletWire
internal import NIOCore
internal import ServiceLifecycle
internal import Synchronization

/// The auth service: people, sessions and access tokens over `/auth/v1`, and the key set for whoever verifies tokens.
package final class AuthService: MartletService {
    package static let name = ServiceName.auth

    /// Longest pause between two attempts to reach the database.
    private static let pauseMax = Duration.seconds(5)
    /// How often changes that the data service has not answered are repeated.
    private static let settlementInterval = Duration.seconds(5)

    /// Between two attempts to hand mails over.
    private static let mailPauseMin = Duration.milliseconds(250)
    private static let mailPauseMax = Duration.seconds(10)

    private struct Opened {
        let authority: Authority
        let database: Database
        let hasher: PasswordHasher
    }

    private let context: ServiceContext
    private let configuration: AuthConfiguration
    private let encryption: EncryptionKeys
    private let projectKeys: ProjectKeys
    private let opened = Mutex<Opened?>(nil)
    private let mailWakes: AsyncStream<Void>
    private let wakeMails: AsyncStream<Void>.Continuation
    private let requests: Counter
    private let failures: Counter

    package init(_ context: ServiceContext) async throws {
        self.context = context
        (mailWakes, wakeMails) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        configuration = AuthConfiguration(context.settings)
        do throws(KeyError) {
            encryption = try Self.encryptionKeys(context)
            projectKeys = try ProjectKeys.loadOrMake(
                directory: context.dataDirectory.keys, production: context.mode == .production,
                now: Timestamp.now().seconds)
        } catch { throw StartFailure(.configuration, "The keys cannot be used: \(error.message).") }
        requests = context.metrics.counter("martlet_auth_requests_total", "Requests of the auth API.")
        failures = context.metrics.counter(
            "martlet_auth_failures_total", "Requests of the auth API that were answered with 5xx.")
        for method in [MethodRegistry.httpRead, MethodRegistry.httpWrite] {
            context.bus.handle(method) { [weak self] in await self?.answer($0) ?? Self.notReady }
        }
        context.bus.handle(MethodRegistry.authKeys) { [weak self] _ in self?.keySet() ?? Self.notReady }
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown { [self] in
            do {
                let authority = try await open()
                await authority.settle()
                context.readiness.set(.ready)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { [self] in await carryMails(of: authority) }
                    while true {
                        try await Task.sleep(for: Self.settlementInterval)
                        await authority.settle()
                        await authority.forgetExpired()
                    }
                }
            } catch is CancellationError {}
        }
        // Asked to stop, it has ended well; cancelled, it says so.
        try Task.checkCancellation()
    }

    package func close() async {
        let opened = opened.withLock { opened in
            defer { opened = nil }
            return opened
        }
        await opened?.hasher.close()
        await opened?.database.close()
    }

    // MARK: Start

    /// Development makes the keys on the first start; production must bring them, because whoever restores a backup
    /// needs the same ones.
    private static func encryptionKeys(_ context: ServiceContext) throws(KeyError) -> EncryptionKeys {
        let directory = context.dataDirectory.keys
        if context.mode == .development { return try EncryptionKeys.loadOrMake(directory: directory) }
        guard let keys = try EncryptionKeys.load(directory: directory) else {
            throw KeyError("\(directory)/encryption is missing: production makes no keys by itself")
        }
        return keys
    }

    /// Opens the database, waiting for a server that is away.
    private func open() async throws -> Authority {
        let settings = context.settings
        let hasher: PasswordHasher
        do throws(AuthError) {
            hasher = try PasswordHasher(
                parameters: Argon2id(settings), threads: settings[\.auth.hashThreads])
        } catch {
            throw StartFailure(
                .configuration,
                "martlet.auth.hash_memory_kibibytes: not even one hash of this size fits into memory.")
        }
        var pause = Duration.milliseconds(100)
        while true {
            do {
                return try await open(hasher)
            } catch let error as AuthError where error.status == 503 {
                context.readiness.set(.notReady("no database"))
                context.logger.warning(
                    "The database is away.", metadata: ["error.detail": "\(error.cause ?? error.message)"])
            } catch let error as AuthError {
                await hasher.close()
                throw StartFailure(.configuration, "The database cannot be used: \(error.cause ?? error.message).")
            }
            do {
                try await Task.sleep(for: pause * Double.random(in: 0.5...1))
            } catch {
                await hasher.close()
                throw error
            }
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    private func open(_ hasher: PasswordHasher) async throws -> Authority {
        let database: Database
        do throws(DatabaseError) {
            database = try Database(DatabaseConfiguration(auth: context.settings, context.dataDirectory))
        } catch { throw AuthError(wrapping: error) }
        let logger = context.logger
        do throws(AuthError) {
            let authority = try await Authority(
                configuration: configuration, database: database, directory: BusUserDirectory(bus: context.bus),
                hasher: hasher, encryption: encryption, projectKeys: projectKeys.jwks,
                mailsWait: { [wakeMails] in wakeMails.yield() },
                observe: { $0.log(to: logger) })
            opened.withLock { $0 = Opened(authority: authority, database: database, hasher: hasher) }
            return authority
        } catch {
            await database.close()
            throw error
        }
    }

    // MARK: Mails

    /// Hands the outbox over: at once when something comes into it, and again after a pause while it cannot be.
    private func carryMails(of authority: Authority) async {
        let carrier = BusMailCarrier(bus: context.bus)
        var pause = Self.mailPauseMin
        wakeMails.yield()
        for await _ in mailWakes {
            while await !authority.handOverMails(to: carrier) {
                do { try await Task.sleep(for: pause * Double.random(in: 0.5...1)) } catch { return }
                pause = min(pause * 2, Self.mailPauseMax)
            }
            pause = Self.mailPauseMin
        }
    }

    // MARK: Requests

    private static let notReady = OutboundReply(
        header: ReplyHeader(code: .unavailable, executed: .no, message: "the auth service is not ready"))

    private func answer(_ request: InboundRequest) async -> OutboundReply {
        guard let authority = opened.withLock({ $0?.authority }) else { return Self.notReady }
        guard let head = request.header.http else {
            return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no, message: "no HTTP head"))
        }
        requests.increment()
        let reply = await authority.answer(
            head, body: Array(request.payload.readableBytesView), principal: request.header.principal,
            trace: request.header.trace, deadline: request.deadline)
        if reply.head.status >= 500 { failures.increment() }
        context.logger(for: request.header).log(
            level: Self.isPlainRead(head) ? .debug : .info, "Answered.",
            metadata: [
                "http.method": "\(head.method)", "http.path": "\(head.path)", "http.status": "\(reply.head.status)",
            ])
        return OutboundReply(header: ReplyHeader(http: reply.head), payload: ByteBuffer(bytes: reply.body))
    }

    /// Reads are many. One of somebody else's data by an administrator, and a link that signs in, are not of that kind.
    private static func isPlainRead(_ head: HTTPRequestHead) -> Bool {
        (head.method == "GET" || head.method == "HEAD") && !head.path.hasPrefix("/admin") && head.path != "/verify"
    }

    private func keySet() -> OutboundReply {
        guard let authority = opened.withLock({ $0?.authority }) else { return Self.notReady }
        var message = Martlet_Wire_V1_AuthKeysReply()
        message.jwks = authority.keySet.text
        message.issuer = authority.issuer
        return OutboundReply(payload: message.payload)
    }
}

extension AuthObservation {
    fileprivate func log(to logger: Logger) {
        switch self {
        case .failed(let trace, let error):
            logger.with(trace).error(
                "A request has failed.",
                metadata: [
                    "http.status": "\(error.status)", "error.code": "\(error.code)",
                    "error.detail": "\(error.cause ?? error.message)",
                ])
        case .notTakenOver(let problem):
            logger.error("A user that SQL has written cannot sign in.", metadata: ["error.detail": "\(problem)"])
        case .unsettled: logger.warning("Changes of users wait for the data service.")
        case .mailRefused(let id, let trace, let reason):
            logger.with(trace).error(
                "A mail was refused by the notification service.",
                metadata: ["mail.id": "\(id)", "error.detail": "\(reason)"])
        case .mailsWait(let reason):
            logger.warning("Mails wait for the notification service.", metadata: ["error.detail": "\(reason)"])
        case .refreshReuse(let trace, let sessionID):
            logger.with(trace).warning(
                "An old refresh token came back; its session is ended.",
                metadata: ["session.id": "\(sessionID)"])
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import Logging
internal import MartletAccessTokens
internal import MartletBus
internal import MartletDatabase
internal import MartletJSON
internal import MartletServiceKit
internal import MartletTracing
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// Mails, as the service has them: `mail.send` on the bus, `POST /notification/v1/mail` at the edge, and their delivery.
final class Mailer: Sendable {
    /// Longest pause between two attempts to reach the database.
    private static let pauseMax = Duration.seconds(5)
    private static let cleanUpInterval = Duration.seconds(600)
    private static let countInterval = Duration.seconds(15)

    private struct Opened {
        let desk: MailDesk
        let deliverer: MailDeliverer
        let database: Database
    }

    private let context: ServiceContext
    private let configuration: MailConfiguration
    private let encryption: EncryptionKeys?
    private let metrics: MailMetrics
    private let templates: @Sendable () throws -> MailTemplateSet
    private let transport: (any MailTransport)?
    /// Only where mails are caught.
    let catcher: MailCatcher?
    private let opened = Mutex<Opened?>(nil)

    init(_ context: ServiceContext) throws(StartFailure) {
        self.context = context
        configuration = try MailConfiguration(context.settings)
        metrics = MailMetrics(context.metrics)
        let isDevelopment = context.mode == .development
        do throws(KeyError) {
            let directory = context.dataDirectory.keys
            encryption =
                isDevelopment
                ? try EncryptionKeys.loadOrMake(directory: directory) : try EncryptionKeys.load(directory: directory)
        } catch { throw StartFailure(.configuration, "The keys cannot be used: \(error.message).") }
        if let server = configuration.server {
            guard encryption != nil else {
                throw StartFailure(
                    .configuration,
                    "\(context.dataDirectory.keys)/encryption is missing: production makes no keys by itself.")
            }
            transport = MailThreads(server, connections: configuration.connections)
            catcher = nil
        } else if isDevelopment {
            let catcher = MailCatcher(folder: context.dataDirectory.mail)
            transport = MailThreads(catcher)
            self.catcher = catcher
        } else {
            transport = nil
            catcher = nil
        }
        let (project, settings) = (context.project, context.settings)
        let load: @Sendable () throws -> MailTemplateSet = {
            try MailTemplateSet(project: project, overrides: settings.mailTemplates)
        }
        do {
            let templates = try load()
            // A person at work on a template sees the change in the next mail.
            let loaded: @Sendable () throws -> MailTemplateSet = { templates }
            self.templates = isDevelopment ? load : loaded
        } catch let failure as MailTemplateSet.Failure {
            throw StartFailure(.configuration, "A mail template cannot be used: \(failure.place): \(failure.reason).")
        } catch { throw StartFailure(.configuration, "The mail templates cannot be read: \(error).") }
    }

    /// Delivers until its task is cancelled; nothing where nobody could deliver.
    ///
    /// - Throws: `StartFailure` when the database cannot ever be used.
    func run() async throws {
        guard let transport, let encryption else { return }
        let opened = try await open(transport, encryption)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withTaskCancellationHandler {
                    await opened.deliverer.run()
                } onCancel: {
                    transport.stop()
                }
            }
            group.addTask { [configuration] in
                while !Task.isCancelled {
                    let before = Self.now() - configuration.retention.microseconds
                    try? await opened.desk.store.forget(before: before)
                    try? await Task.sleep(for: Self.cleanUpInterval)
                }
            }
            group.addTask { [metrics] in
                while !Task.isCancelled {
                    if let counts = try? await opened.desk.store.counts() { metrics.waiting.set(counts.waiting) }
                    try? await Task.sleep(for: Self.countInterval)
                }
            }
        }
    }

    func close() async {
        let opened = opened.withLock { opened in
            defer { opened = nil }
            return opened
        }
        await transport?.close()
        await opened?.database.close()
    }

    /// Takes a mail. `caller` and `key` name the request for ever.
    func accept(
        _ order: MailDesk.Order, caller: String, key: String, deadline: ContinuousClock.Instant?
    ) async throws(MailRefusal) -> MailStore.Accepted {
        guard transport != nil else { throw .notConfigured }
        guard let opened = opened.withLock({ $0 }) else { throw .storage("the database is not open yet") }
        let accepted = try await opened.desk.accept(order, senderKey: "\(caller)/\(key)", deadline: deadline)
        if !accepted.isRepeat {
            metrics.accepted.increment()
            context.logger.with(order.trace).info("A mail was accepted.", metadata: ["mail.id": "\(accepted.id)"])
            opened.deliverer.wake()
        }
        return accepted
    }

    /// Nil where nobody could deliver.
    var operations: MailRoute.Operations? {
        guard transport != nil else { return nil }
        return MailRoute.Operations(
            list: { [self] state, limit in
                guard let opened = opened.withLock({ $0 }) else { throw MailRefusal.storage("not open yet") }
                return try await opened.desk.store.deliveries(state: state, limit: limit)
            },
            retry: { [self] id in
                guard let opened = opened.withLock({ $0 }) else { throw MailRefusal.storage("not open yet") }
                let outcome = try await opened.desk.store.retry(id, now: Self.now())
                if case .due(let delivery) = outcome {
                    context.logger.with(delivery.trace).info("A mail is sent again.", metadata: ["mail.id": "\(id)"])
                    opened.deliverer.wake()
                }
                return outcome
            })
    }

    /// `mail.send`.
    func send(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_MailSendRequest(payload: request.payload),
            let variables = Self.variables(message.variables), !request.header.idempotencyKey.isEmpty
        else {
            return Self.refusal(.badMessage, "the request cannot be read, or has no idempotency key")
        }
        let order = MailDesk.Order(
            to: message.to, template: message.template, variables: variables, subject: message.subject,
            html: message.html, text: message.text, trace: request.header.trace)
        do throws(MailRefusal) {
            let accepted = try await accept(
                order, caller: request.caller.rawValue, key: request.header.idempotencyKey,
                deadline: request.deadline)
            var reply = Martlet_Wire_V1_MailSendReply()
            reply.id = accepted.id
            reply.messageID = accepted.messageID
            return OutboundReply(payload: reply.payload)
        } catch {
            return switch error {
            case .badMail(let reason): Self.refusal(.badMessage, reason)
            case .badRecipient: Self.refusal(.badMessage, "the recipient is no address")
            case .unknownTemplate(let name): Self.refusal(.badMessage, "there is no template \(name)")
            case .keyReused: Self.refusal(.idempotencyMismatch, "the key came with another mail")
            case .full: Self.refusal(.busy, "too many mails wait")
            case .notConfigured: Self.refusal(.unavailable, "no SMTP server is configured")
            case .storage(let reason): Self.refusal(.storageUnavailable, reason)
            }
        }
    }

    private static func variables(_ text: String) -> JSONObject? {
        text.isEmpty ? JSONObject() : (try? JSONValue(parsing: text))?.objectValue
    }

    private static func refusal(_ code: ErrorCode, _ message: String) -> OutboundReply {
        OutboundReply(header: ReplyHeader(code: code, executed: .no, message: message))
    }

    /// Microseconds since 1970 UTC.
    private static func now() -> Int64 {
        let now = WallTime.now
        return now.seconds * 1_000_000 + now.nanoseconds / 1_000
    }

    // MARK: Start

    /// Opens the database, waiting for a server that is away.
    private func open(_ transport: any MailTransport, _ encryption: EncryptionKeys) async throws -> Opened {
        var pause = Duration.milliseconds(100)
        while true {
            do {
                return try await openOnce(transport, encryption)
            } catch let error as DatabaseError {
                guard error.isRetriable || error.sqlState.hasPrefix("08") || error.sqlState.hasPrefix("53") else {
                    throw StartFailure(.configuration, "Notification's database cannot be used: \(error.message).")
                }
                context.logger.warning(
                    "The database of the mails is away.", metadata: ["error.detail": "\(error.message)"])
            }
            try await Task.sleep(for: pause * Double.random(in: 0.5...1))
            pause = min(pause * 2, Self.pauseMax)
        }
    }

    private func openOnce(_ transport: any MailTransport, _ encryption: EncryptionKeys) async throws -> Opened {
        let engine = context.settings[\.mail.engine]
        let location: DatabaseConfiguration.Location =
            engine == "sqlite"
            ? .sqlite(path: context.dataDirectory.database(of: .notification)) : .postgres(url: engine)
        let database = try Database(DatabaseConfiguration(location: location, readers: 1, poolSize: 4))
        let store = MailStore(database: database, keys: encryption)
        do { try await store.prepare() } catch {
            await database.close()
            throw error
        }
        let width = configuration.server == nil ? 1 : configuration.connections
        let deliverer = MailDeliverer(
            store: store, transport: transport, sender: configuration.sender, width: width,
            timeout: configuration.timeout, metrics: metrics, logger: context.logger, tracer: context.tracer,
            clock: Self.now)
        let desk = MailDesk(
            store: store, templates: templates, domain: String(configuration.sender.address.domain), clock: Self.now)
        let opened = Opened(desk: desk, deliverer: deliverer, database: database)
        self.opened.withLock { $0 = opened }
        return opened
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// `/functions/v1/_admin/…`: jobs, attempts, triggers and schedules, for the service role alone.
struct AdminRoutes: Sendable {
    let store: JobStore
    let triggers: TriggerStore
    let schedules: ScheduleStore
    /// Whether the project has a function of this name.
    let isFunction: @Sendable (String) -> Bool
    /// Says that a job may have come.
    let wake: @Sendable () -> Void
    let clock: @Sendable () -> Moment
    let logger: Logger

    /// What the routes answer, as the head and its JSON body.
    struct Answer: Sendable, Equatable {
        let status: UInt16
        let body: JSONValue

        var head: HTTPResponseHead {
            HTTPResponseHead(status: status, fields: [HTTPField("content-type", "application/json")])
        }
    }

    /// An answer that says no.
    struct Refusal: Error, Equatable {
        let status: UInt16
        let code: String
        let message: String

        var answer: Answer {
            Answer(status: status, body: ["code": .string(code), "message": .string(message), "msg": .string(message)])
        }

        static func bad(_ message: String) -> Refusal { Refusal(status: 400, code: "bad_request", message: message) }
        static let notFound = Refusal(status: 404, code: "NOT_FOUND", message: "There is nothing of this name")
    }

    /// - Parameter path: behind `/_admin`, with its slash: `/jobs/<id>/retry`.
    func answer(_ head: HTTPRequestHead, path: String, body: [UInt8], header: RequestHeader) async -> Answer {
        do {
            return try await route(head, path, body, header)
        } catch let refusal as Refusal {
            return refusal.answer
        } catch {
            logger.error(
                "An administrator's request has failed.",
                metadata: ["request.id": "\(header.requestID)", "error.detail": "\(error)"])
            let isAway = (error as? DatabaseError)?.isRetriable ?? false
            return Refusal(
                status: isAway ? 503 : 500, code: isAway ? "service_unavailable" : "unexpected_failure",
                message: isAway ? "The database is away" : "Something went wrong (please check logs)"
            ).answer
        }
    }

    private func route(
        _ head: HTTPRequestHead, _ path: String, _ body: [UInt8], _ header: RequestHeader
    ) async throws -> Answer {
        guard header.principal.tokenStatus != .invalid, header.principal.role == "service_role" else {
            throw Refusal(status: 403, code: "not_admin", message: "Only the service role may do this")
        }
        let parts = path.split(separator: "/").map(String.init)
        let query = try QueryItems(head.query)
        switch (head.method, parts.count, parts.first ?? "", parts.last ?? "") {
        case ("POST", 1, "jobs", _): return try await create(body, head, header)
        case ("GET", 1, "jobs", _): return try await list(query)
        case ("GET", 2, "jobs", let id): return try await show(id)
        case ("POST", 3, "jobs", "retry"):
            return try await change(parts[1], try await store.retry(parts[1], now: clock()))
        case ("POST", 3, "jobs", "cancel"):
            return try await change(parts[1], try await store.cancel(parts[1], now: clock()))
        case ("GET", 1, "executions", _): return try await executions(query)
        case ("GET", 1, "triggers", _):
            try query.refuseOthers(than: [])
            return Answer(status: 200, body: .array(try await triggers.list().map(\.json)))
        case ("POST", 3, "triggers", "enable"):
            guard try await triggers.enable(parts[1]) else { throw Refusal.notFound }
            return Answer(status: 200, body: ["name": .string(parts[1]), "disabled_at": nil])
        case ("GET", 1, "schedules", _):
            try query.refuseOthers(than: [])
            return Answer(status: 200, body: .array(try await schedules.list().map(\.json)))
        default: throw Refusal.notFound
        }
    }

    // MARK: Jobs

    private func create(_ body: [UInt8], _ head: HTTPRequestHead, _ header: RequestHeader) async throws -> Answer {
        guard body.count <= JobLimits.bodyBytesMax else {
            throw Refusal(
                status: 413, code: "PAYLOAD_TOO_LARGE",
                message: "A job may have \(JobLimits.bodyBytesMax) bytes")
        }
        let wanted = try JobRequest(body, keyOfHeader: header.idempotencyKey, now: clock())
        guard isFunction(wanted.function) else {
            throw Refusal(
                status: 404, code: "NOT_FOUND", message: "Requested function was not found")
        }
        let job = NewJob(
            id: wanted.key.isEmpty ? JobIdentity.random() : JobIdentity.derived("request", wanted.key),
            function: wanted.function, source: .request, body: wanted.body, runAt: wanted.runAt ?? clock(),
            attemptsMax: wanted.attempts, trace: header.trace)
        switch try await store.admit(job, requestHash: JobIdentity.hash(wanted.canonicalText), now: clock()) {
        case .accepted:
            wake()
            return Answer(status: 201, body: ["id": .string(job.id)])
        case .known: return Answer(status: 200, body: ["id": .string(job.id)])
        case .otherRequest:
            throw Refusal(
                status: 422, code: "idempotency_key_reused", message: "The same key came with another request")
        }
    }

    private func list(_ query: QueryItems) async throws -> Answer {
        try query.refuseOthers(than: ["state", "function", "before", "limit"])
        var state: JobState?
        if let word = query["state"] {
            state = JobState(rawValue: word)
            guard state != nil else {
                throw Refusal.bad("state: expected \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        var before: Int64?
        if let text = query["before"] {
            before = Int64(text)
            guard before != nil else { throw Refusal.bad("before: expected the number of a job") }
        }
        let jobs = try await store.jobs(
            state: state, function: query["function"], before: before, limit: try query.limit)
        return Answer(status: 200, body: .array(jobs.map { .object($0.json) }))
    }

    private func show(_ id: String) async throws -> Answer {
        guard let (job, attempts) = try await store.job(id) else { throw Refusal.notFound }
        var object = job.json
        object["headers"] = .array(job.new.headers.map { .array([.string($0.name), .string($0.value)]) })
        object["body"] = .string(job.new.body)
        object["attempts"] = .array(attempts.map { .object($0.json) })
        return Answer(status: 200, body: .object(object))
    }

    private func change(_ id: String, _ change: JobStore.Change) async throws -> Answer {
        switch change {
        case .changed:
            wake()
            return try await show(id)
        case .notFound: throw Refusal.notFound
        case .refused(let state):
            throw Refusal(status: 409, code: "conflict", message: "The job is \(state.rawValue)")
        }
    }

    private func executions(_ query: QueryItems) async throws -> Answer {
        try query.refuseOthers(than: ["function", "status", "limit"])
        var state: JobStore.AttemptState?
        if let word = query["status"] {
            state = JobStore.AttemptState(rawValue: word)
            guard state != nil else { throw Refusal.bad("status: expected running, succeeded or failed") }
        }
        let attempts = try await store.attempts(function: query["function"], state: state, limit: try query.limit)
        return Answer(status: 200, body: .array(attempts.map { .object($0.json) }))
    }
}

/// The body of `POST jobs`.
struct JobRequest: Equatable {
    let function: String
    let body: String
    let runAt: Moment?
    let key: String
    let attempts: Int

    private static let members: Set<String> = ["function", "body", "run_at", "key", "attempts"]
    /// Characters of a key, as of `Idempotency-Key`.
    private static let keyCharacters = 1...255

    init(_ bytes: [UInt8], keyOfHeader: String, now: Moment) throws(AdminRoutes.Refusal) {
        guard let object = (try? JSONValue(parsing: bytes))?.objectValue else { throw .bad("expected a JSON object") }
        for key in object.keys where !Self.members.contains(key) { throw .bad("\(key): there is no such member") }
        guard let function = object["function"]?.stringValue else { throw .bad("function: expected a name") }
        self.function = function
        body = object["body"]?.text ?? "{}"
        var key = keyOfHeader
        if let value = object["key"], !value.isNull {
            guard let text = value.stringValue else { throw .bad("key: expected a text") }
            key = text
        }
        guard key.isEmpty && object["key"]?.stringValue == nil || Self.keyCharacters.contains(key.count) else {
            throw .bad("key: expected 1 to 255 characters")
        }
        self.key = key
        var moment: Moment?
        if let value = object["run_at"], !value.isNull {
            moment = value.stringValue.flatMap { Moment($0) }
            guard let found = moment else { throw .bad("run_at: expected a moment, such as 2026-01-02T03:04:05Z") }
            guard found <= now + JobLimits.aheadMax else { throw .bad("run_at: expected a moment within a year") }
        }
        runAt = moment
        let attempts = object["attempts"].map { $0.int64Value } ?? Int64(JobLimits.attempts)
        guard let attempts, (1...Int64(JobLimits.attemptsMax)).contains(attempts) else {
            throw .bad("attempts: expected 1 to \(JobLimits.attemptsMax)")
        }
        self.attempts = Int(attempts)
    }

    /// Equal for requests that mean the same.
    var canonicalText: String {
        [function, body, runAt.map { "\($0.microseconds)" } ?? "", "\(attempts)"].joined(separator: "\n")
    }
}

/// The items of a query.
struct QueryItems {
    private var items: [String: String] = [:]

    init(_ query: String) throws(AdminRoutes.Refusal) {
        for item in query.split(separator: "&") {
            let halves = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count > 1 ? halves[1] : "") else {
                throw .bad("the query cannot be read")
            }
            items[name] = value
        }
    }

    subscript(_ name: String) -> String? { items[name] }

    func refuseOthers(than names: Set<String>) throws(AdminRoutes.Refusal) {
        for name in items.keys.sorted() where !names.contains(name) {
            throw .bad("\(name): there is no such parameter")
        }
    }

    var limit: Int {
        get throws(AdminRoutes.Refusal) {
            guard let text = items["limit"] else { return JobLimits.pageDefault }
            guard let limit = Int(text), (1...JobLimits.pageMax).contains(limit) else {
                throw .bad("limit: expected 1 to \(JobLimits.pageMax)")
            }
            return limit
        }
    }

    /// Without `+` and percent signs; nil for a broken one or what is no UTF-8.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                let digits = rest.prefix(2)
                guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                    return nil
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        // A NUL cannot be in any of our values, and PostgreSQL would not take it.
        return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletSQL
import MartletWire

/// Answers `/rest/v1`: from the head and body of a request to its whole answer (rest contract).
package struct RestHandler: Sendable {
    private let engine: any RowEngine
    private let rowsMax: Int64?
    private let rules: RuleBook?
    /// The role of callers without a token.
    static let anonymousRole = "anon"

    /// - Parameters:
    ///   - rowsMax: most rows that a read shows, at the root and in each embed; nil: no bound (`max_rows`).
    ///   - rules: functions that are asked before writes.
    package init(engine: any RowEngine, rowsMax: Int64?, rules: RuleBook? = nil) {
        self.engine = engine
        self.rowsMax = rowsMax
        self.rules = rules
    }

    /// One request. Refusals are answers: nothing is thrown.
    package func answer(_ request: RestRequest) async -> FinishedReply {
        let isAnonymous = request.principal.tokenStatus != .valid || request.principal.role == Self.anonymousRole
        do {
            var reply = try await route(request)
            reply.dropForbiddenBody()
            if request.head.method == "HEAD" { reply.body = [] }
            return reply
        } catch {
            var reply = ErrorReply.reply(error, isAnonymous: isAnonymous)
            if request.head.method == "HEAD" { reply.body = [] }
            return reply
        }
    }

    private func route(_ request: RestRequest) async throws -> FinishedReply {
        if let refusal = RowError.tokenRefusal(request.principal) { throw refusal }
        let schema = engine.schema
        let target = try RestPath(request.head.path)
        let schemaName = try profile(request.head, schema)
        let planner = Planner(schema: schema, rowsMax: rowsMax)
        var reply: FinishedReply
        switch target {
        case .root: throw RowError("PGRST126", "Root endpoint metadata is disabled")
        case .table(let name): reply = try await answer(request, QualifiedName(schemaName, name), planner)
        case .function(let name):
            let call = RestCall(request: request, planner: planner, engine: engine)
            reply = try await call.answer(QualifiedName(schemaName, name))
        }
        if request.head["accept-profile"] ?? request.head["content-profile"] != nil || schema.exposedSchemas.count > 1,
            reply["content-type"] != nil
        {
            reply.fields.append(HTTPField("content-profile", schemaName))
        }
        return reply
    }

    /// A zero byte, as it is or percent-encoded. By bytes: searching a text for a text compares whole characters.
    private static func hasNullByte(_ query: String) -> Bool {
        var (last, beforeLast) = (UInt8.max, UInt8.max)
        for byte in query.utf8 {
            let zero = UInt8(ascii: "0")
            if byte == 0 || byte == zero && last == zero && beforeLast == UInt8(ascii: "%") { return true }
            (beforeLast, last) = (last, byte)
        }
        return false
    }

    /// - Throws: `RowError` 22021: no text of the database holds this byte.
    static func checkQuery(_ head: HTTPRequestHead) throws(RowError) {
        guard !hasNullByte(head.query) else {
            throw RowError("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")
        }
    }

    private func answer(
        _ request: RestRequest, _ name: QualifiedName, _ planner: Planner
    ) async throws -> FinishedReply {
        guard let method = RestMethod(rawValue: request.head.method) else {
            throw RowError("PGRST117", "Unsupported HTTP method: \(request.head.method)")
        }
        try Self.checkQuery(request.head)
        let query = try QueryParser.parse(request.head.query)
        switch method {
        case .get, .head:
            let range = try PageRange(query.window(at: []), header: method == .get ? request.head["range"] : nil)
            let relation = try planner.relation(name)
            return try await read(request, relation, query, range, planner)
        case .post, .patch, .delete:
            let write = RestWrite(
                request: request, method: method, query: query, planner: planner, engine: engine, rules: rules)
            return try await write.answer(name)
        case .options:
            let allowed = Self.allowed(try planner.relation(name))
            // Also for callers that name no origin, of whom the edge says nothing.
            return FinishedReply(
                status: 200, fields: [HTTPField("allow", allowed), HTTPField("access-control-allow-origin", "*")])
        }
    }

    private static func allowed(_ relation: Relation) -> String {
        relation.kind == .table ? "OPTIONS,GET,HEAD,POST,PATCH,DELETE" : "OPTIONS,GET,HEAD"
    }

    /// The schema that the profile field names, else the default one (rest contract 14).
    private func profile(_ head: HTTPRequestHead, _ schema: SchemaCache) throws(RowError) -> String {
        let reads = head.method == "GET" || head.method == "HEAD" || head.method == "OPTIONS"
        let name = head[reads ? "accept-profile" : "content-profile"] ?? schema.exposedSchemas.first ?? "public"
        guard schema.exposedSchemas.contains(name) else {
            throw RowError(
                "PGRST106", "Invalid schema: \(name)",
                hint: "Only the following schemas are exposed: \(schema.exposedSchemas.joined(separator: ", "))")
        }
        return name
    }

    // MARK: Reads

    private func read(
        _ request: RestRequest, _ relation: Relation, _ query: ParsedQuery, _ range: PageRange, _ planner: Planner
    ) async throws -> FinishedReply {
        let preferences = request.preferences
        let plan = try planner.readPlan(relation, query, page: range, count: preferences.count == nil ? .none : .exact)
        try preferences.check()
        let type = try MediaType(accept: request.head["accept"])
        let result = try await engine.read(plan, session: request.session())
        if let total = result.total, range.offset > total {
            throw PageRange.unsatisfiable(offset: range.offset, total: total)
        }
        let body = try ResultBody.bytes(of: result, as: type)
        let isPartial = result.total.map { Int64(result.rowCount) < $0 } ?? false
        var fields = [
            HTTPField("content-type", type.contentType),
            HTTPField("content-range", Self.contentRange(range.offset, result.rowCount, result.total)),
        ]
        let method: RestMethod = request.head.method == "HEAD" ? .head : .get
        if let applied = preferences.applied(to: method) { fields.append(HTTPField("preference-applied", applied)) }
        return FinishedReply(status: isPartial ? 206 : 200, fields: fields, body: body)
    }

    /// `<first>-<last>/<total>`, `*` for what is empty or not known (rest contract 9.2).
    static func contentRange(_ offset: Int64, _ count: Int, _ total: Int64?) -> String {
        let page = count == 0 ? "*" : "\(offset)-\(offset + Int64(count) - 1)"
        return "\(page)/\(total.map(String.init) ?? "*")"
    }
}

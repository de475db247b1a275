// SPDX-License-Identifier: Apache-2.0

import MartletSQL
import MartletWire

/// One POST, PATCH or DELETE of a table (rest contract 11).
struct RestWrite {
    let request: RestRequest
    let method: RestMethod
    let query: ParsedQuery
    let planner: Planner
    let engine: any RowEngine
    let rules: RuleBook?

    func answer(_ name: QualifiedName) async throws -> FinishedReply {
        let preferences = request.preferences
        let body =
            method == .delete
            ? nil
            : try WriteBody(request.body, contentType: request.head["content-type"], columns: query.columns)
        let relation = try planner.relation(name)
        let shape = try planner.representation(relation, query)
        let filter = method == .post ? nil : try planner.filter(relation, query)
        if let body { try planner.checkPayload(body.columns, of: relation) }
        try preferences.check()
        let type = try MediaType(accept: request.head["accept"])
        let rule = try conflictRule(relation, preferences)
        let finish = Finish(
            method: method, type: type, preferences: preferences, relation: relation.name.name,
            merges: rule?.merges ?? false, appliesResolution: rule != nil)
        guard let action = action(body, filter, rule, preferences) else {
            return try finish.reply(RowsResult(body: Array("[]".utf8)))
        }
        let plan = WritePlan(
            relation: relation.name, action: action,
            representation: preferences.returns == .representation ? shape : nil,
            wantsLocation: method == .post && preferences.returns == .headersOnly)
        var session = request.session()
        session.idempotency = request.idempotency
        if let rules, let rule = rules.rule(on: event, of: relation.name) {
            let write = RuledWrite(
                rule: rule, event: event, plan: plan, relation: relation, session: session, engine: engine, book: rules,
                finish: { try finish.reply($0) })
            return try await write.run()
        }
        return try await engine.write(plan, session: session) { try finish.reply($0) }
    }

    private var event: RuleEvent {
        switch method {
        case .post: .insert
        case .patch: .update
        default: .delete
        }
    }

    /// Nil when there is nothing to do.
    private func action(
        _ body: WriteBody?, _ filter: LogicTree?, _ rule: ConflictRule?, _ preferences: Preferences
    ) -> WriteAction? {
        let missing = preferences.missing ?? .null
        switch method {
        case .post:
            guard let body, !body.rows.isEmpty else { return nil }
            return .insert(
                InsertedRows(columns: body.columns, rows: body.rows, missing: missing), onConflict: rule)
        case .patch:
            guard let body, let row = body.rows.first, !body.columns.isEmpty else { return nil }
            return .update(columns: body.columns, row: row, missing: missing, filter: filter)
        default: return .delete(filter: filter)
        }
    }

    /// Nil without `resolution`, and for a table without primary key when `on_conflict` names none.
    private func conflictRule(_ relation: Relation, _ preferences: Preferences) throws(RowError) -> ConflictRule? {
        guard method == .post, let resolution = preferences.resolution else { return nil }
        guard let columns = query.onConflict ?? relation.primaryKey?.columns else { return nil }
        for column in columns where relation.column(column) == nil {
            throw RowError("42703", "column \"\(column)\" does not exist")
        }
        return ConflictRule(columns: columns, merges: resolution == .mergeDuplicates)
    }
}

/// Makes the answer of a write from its result, inside the transaction.
private struct Finish: Sendable {
    let method: RestMethod
    let type: MediaType
    let preferences: Preferences
    let relation: String
    let merges: Bool
    let appliesResolution: Bool

    /// - Throws: `RowError` PGRST116 and PGRST124, which undo the write.
    func reply(_ result: RowsResult) throws(RowError) -> FinishedReply {
        if type.isObject { try ResultBody.requireSingle(result) }
        if method != .post, let bound = preferences.affectedBound, result.rowCount > bound {
            throw RowError(
                "PGRST124", "Query result exceeds max-affected preference constraint",
                details: "The query affects \(result.rowCount) rows")
        }
        let showsRows = preferences.returns == .representation
        var reply = FinishedReply(status: status(result, showsRows))
        if showsRows {
            reply.body = try ResultBody.bytes(of: result, as: type)
            reply.fields.append(HTTPField("content-type", type.contentType))
        }
        reply.fields.append(HTTPField("content-range", contentRange(result)))
        if !result.location.isEmpty {
            let key = result.location.map { column, value in
                "\(PercentEncoding.encode(column))=\(value.map { "eq.\(PercentEncoding.encode($0))" } ?? "is.null")"
            }
            reply.fields.append(
                HTTPField("location", "/\(PercentEncoding.encode(relation))?\(key.joined(separator: "&"))"))
        }
        if let applied = preferences.applied(to: method, appliesResolution: appliesResolution) {
            reply.fields.append(HTTPField("preference-applied", applied))
        }
        return reply
    }

    private func status(_ result: RowsResult, _ showsRows: Bool) -> UInt16 {
        guard method == .post else { return showsRows ? 200 : 204 }
        return merges && result.rowCount > 0 && result.insertedCount == 0 ? 200 : 201
    }

    private func contentRange(_ result: RowsResult) -> String {
        let total = preferences.count == nil ? nil : Int64(result.rowCount)
        return RestHandler.contentRange(0, method == .patch ? result.rowCount : 0, total)
    }
}

/// Percent-encoding of URL parts (RFC 3986, section 2.3: unreserved characters stay).
enum PercentEncoding {
    static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

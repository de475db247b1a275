// SPDX-License-Identifier: Apache-2.0

import MartletSQL
import MartletWire

/// One request of `/rpc/<function>` (rest contract 12).
struct RestCall {
    let request: RestRequest
    let planner: Planner
    let engine: any RowEngine

    func answer(_ name: QualifiedName) async throws -> FinishedReply {
        switch request.head.method {
        case "GET", "HEAD": return try await call(name, isRead: true)
        case "POST": return try await call(name, isRead: false)
        case "OPTIONS":
            let (function, _) = try FunctionResolver(schema: planner.schema).resolve(name, CallInput([]))
            let allowed = function.volatility == .volatile ? "OPTIONS,POST" : "OPTIONS,GET,HEAD,POST"
            return FinishedReply(
                status: 200, fields: [HTTPField("allow", allowed), HTTPField("access-control-allow-origin", "*")])
        case let method: throw RowError("PGRST101", "Cannot use the \(method) method on RPC")
        }
    }

    private func call(_ name: QualifiedName, isRead: Bool) async throws -> FinishedReply {
        try RestHandler.checkQuery(request.head)
        let query = try QueryParser.parse(request.head.query, takesArguments: isRead)
        let page = try PageRange(
            query.window(at: []), header: request.head.method == "GET" ? request.head["range"] : nil)
        let input =
            isRead
            ? CallInput(query.arguments)
            : try CallInput(request.body, contentType: request.head["content-type"], columns: query.columns)
        let (function, arguments) = try FunctionResolver(schema: planner.schema).resolve(name, input)
        let preferences = request.preferences
        let plan = try planner.callPlan(
            function, arguments, query, page: page, count: preferences.count == nil ? .none : .exact, isRead: isRead)
        try preferences.check()
        if preferences.affectedBound != nil, !function.returnsSet {
            throw RowError(
                "PGRST128",
                "Function must return SETOF or TABLE when max-affected preference is used with handling=strict")
        }
        let finish = CallFinish(
            type: try MediaType(accept: request.head["accept"]), preferences: preferences, plan: plan)
        var session = request.session()
        if !isRead { session.idempotency = request.idempotency }
        return try await engine.call(plan, session: session) { try finish.reply($0) }
    }
}

/// Makes the answer of a call from its result, inside the transaction.
private struct CallFinish: Sendable {
    let type: MediaType
    let preferences: Preferences
    let plan: CallPlan

    /// - Throws: `RowError` PGRST103, PGRST111, PGRST112, PGRST116 and PGRST124, which undo the call.
    func reply(_ result: CallResult) throws(RowError) -> FinishedReply {
        let rows = result.rows
        if let bound = preferences.affectedBound, rows.rowCount > bound {
            throw RowError(
                "PGRST124", "Query result exceeds max-affected preference constraint",
                details: "The query affects \(rows.rowCount) rows")
        }
        if let total = rows.total, plan.rows.offset > total {
            throw PageRange.unsatisfiable(offset: plan.rows.offset, total: total)
        }
        let isPartial = rows.total.map { Int64(rows.rowCount) < $0 } ?? false
        var reply = FinishedReply(status: isPartial ? 206 : 200)
        if plan.function.result == .void {
            reply.status = 204
        } else {
            reply.body = try body(rows)
            reply.fields.append(HTTPField("content-type", type.contentType))
        }
        reply.fields.append(
            HTTPField("content-range", RestHandler.contentRange(plan.rows.offset, rows.rowCount, rows.total)))
        if let applied = preferences.appliedToCall { reply.fields.append(HTTPField("preference-applied", applied)) }
        try ResponseSettings.apply(status: result.status, headers: result.headers, to: &reply)
        reply.dropForbiddenBody()
        return reply
    }

    private func body(_ rows: RowsResult) throws(RowError) -> [UInt8] {
        if plan.function.returnsSet || type.isObject { return try ResultBody.bytes(of: rows, as: type) }
        if rows.rowCount == 0 { return Array("null".utf8) }
        return try ResultBody.bytes(of: rows, as: type.stripsNulls ? .objectWithoutNulls : .object)
    }
}

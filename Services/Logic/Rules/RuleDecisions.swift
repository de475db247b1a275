// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
import MartletWire
import NIOCore

/// `logic.decide`: asks a function about a write, for data. The question is the function's body and its answer goes
/// back as it is; data knows what both mean.
struct RuleDecisions: Sendable {
    let functions: any FunctionCaller

    /// What is left of the caller's budget for the way back.
    private static let returnTime = Duration.milliseconds(20)

    func decide(_ request: InboundRequest) async -> OutboundReply {
        guard let head = request.header.http, head.path.hasPrefix("/"), head.path.utf8.count > 1 else {
            return OutboundReply(
                header: ReplyHeader(code: .badMessage, executed: .no, message: "no function is named"))
        }
        let question = FunctionRequest(
            method: "POST", target: head.path, headers: head.fields, body: request.payload,
            trace: request.header.trace)
        do throws(FunctionFailure) {
            let answer = try await functions.call(
                String(head.path.dropFirst()), question, deadline: request.deadline - Self.returnTime)
            // A function cannot pass itself off as the platform.
            let fields = answer.headers.filter { $0.name == "content-type" }
            return OutboundReply(
                header: ReplyHeader(http: HTTPResponseHead(status: answer.status, fields: fields)),
                payload: answer.body)
        } catch {
            // As /functions/v1 says it (functions contract 2).
            let fields = [HTTPField("x-relay-error", "true"), HTTPField("sb-error-code", error.code.rawValue)]
            return OutboundReply(
                header: ReplyHeader(
                    message: error.detail, http: HTTPResponseHead(status: error.code.status, fields: fields)))
        }
    }
}

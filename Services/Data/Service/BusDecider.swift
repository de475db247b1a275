// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletWire
internal import NIOCore

/// Asks functions through the logic service (`logic.decide`).
struct BusDecider: RuleDecider {
    let bus: Bus

    func decide(
        _ function: String, rule: String, event: [UInt8], trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DecisionFailure) -> [UInt8] {
        let head = HTTPRequestHead(
            method: "POST", path: "/\(function)", query: "",
            fields: [
                HTTPField("content-type", "application/json"), HTTPField("x-martlet-rule", rule),
            ])
        let header = RequestHeader(trace: trace, contentType: "application/json", http: head)
        let reply: (header: ReplyHeader, payload: ByteBuffer)
        do throws(BusError) {
            reply = try await bus.request(
                MethodRegistry.logicDecide, to: .logic, header: header, payload: ByteBuffer(bytes: event),
                deadline: deadline)
        } catch {
            let isLate = error.code == .deadlineExceeded
            throw DecisionFailure(isLate ? .late : .unavailable, "\(error.code.name) \(error.message)")
        }
        guard let answer = reply.header.http else { throw DecisionFailure(.failed, "the reply has no head") }
        guard answer.fields.contains(where: { $0.name == Self.relayError }) else {
            guard 200...299 ~= answer.status else {
                throw DecisionFailure(.failed, "the function answered \(answer.status)")
            }
            return Array(reply.payload.readableBytesView)
        }
        let code = answer.fields.first { $0.name == Self.errorCode }?.value ?? ""
        let kind: DecisionFailure.Kind =
            switch code {
            case "IDLE_TIMEOUT": .late
            case "NOT_FOUND", "BOOT_ERROR", "TOO_MANY_REQUESTS": .unavailable
            default: .failed
            }
        throw DecisionFailure(kind, code)
    }

    /// Says that the platform answered instead of the function, and with which code (functions contract 2).
    static let relayError = "x-relay-error"
    static let errorCode = "sb-error-code"
}

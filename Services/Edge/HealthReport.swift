// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// What `/health` says: every service of the suite, and whether it is ready. Says nothing about the inside.
struct HealthReport: Sendable {
    /// How long one service may take to answer.
    static let budget = Duration.milliseconds(900)
    static let services: [ServiceName] = [.edge, .auth, .data, .logic, .notification]

    let bus: Bus
    let readiness: Readiness

    func collect() async -> (isReady: Bool, body: String) {
        var states: [ServiceName: Bool] = [.edge: readiness.status == .ready]
        await withTaskGroup(of: (ServiceName, Bool).self) { group in
            for service in Self.services where service != .edge {
                group.addTask { [bus] in
                    let reply = try? await bus.request(
                        MethodRegistry.systemStatus, to: service, header: RequestHeader(),
                        deadline: .now.advanced(by: Self.budget))
                    let status = reply.flatMap { try? Martlet_Wire_V1_SystemStatusReply(payload: $0.payload) }
                    return (service, status?.ready ?? false)
                }
            }
            for await (service, isReady) in group { states[service] = isReady }
        }
        let isReady = states.values.allSatisfy { $0 }
        let members = Self.services.map { service in
            (key: service.rawValue, value: JSONValue.string(states[service] == true ? "ready" : "not ready"))
        }
        let body: JSONObject = [
            "status": .string(isReady ? "ready" : "not ready"), "services": .object(JSONObject(members)),
        ]
        return (isReady, body.text)
    }
}

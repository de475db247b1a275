// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

/// `/notification/v1/deliveries`: which mails wait, were sent or given up, and sending those again.
extension MailRoute {
    /// What the mailer does for the route. Throws when its database is away.
    struct Operations: Sendable {
        let list: @Sendable (_ state: String?, _ limit: Int) async throws -> [MailStore.Delivery]
        let retry: @Sendable (_ id: String) async throws -> MailStore.Retry
    }

    func deliveries(_ parts: ArraySlice<String>, _ head: HTTPRequestHead) async -> Answer {
        guard let operations else { return .error(503, "mail_not_configured", "No SMTP server is configured") }
        do {
            switch (head.method, parts.count) {
            case ("GET", 0), ("HEAD", 0): return try await list(head.query, operations)
            case ("POST", 2) where parts.last == "retry":
                return try await retry(parts.first ?? "", operations)
            case (_, 0): return Self.notAllowed("GET, HEAD")
            case (_, 2) where parts.last == "retry": return Self.notAllowed("POST")
            default: return .error(404, "not_found", "There is nothing here")
            }
        } catch {
            return Self.later(
                .error(503, "service_unavailable", "The service is not available, please retry after a moment."))
        }
    }

    private func list(_ query: String, _ operations: Operations) async throws -> Answer {
        var (state, limit) = (String?.none, MailLimits.listedMax)
        for pair in query.split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = sides.count > 1 ? String(sides[1]) : ""
            switch sides[0] {
            case "state":
                guard MailStore.states.contains(value) else {
                    return .error(400, "bad_request", "state is one of \(MailStore.states.joined(separator: ", "))")
                }
                state = value
            case "limit":
                guard let number = Int(value), (1...MailLimits.deliveriesMax).contains(number) else {
                    return .error(400, "bad_request", "limit is 1 to \(MailLimits.deliveriesMax)")
                }
                limit = number
            // The key may stand in the query; the edge has looked at it.
            case "apikey": break
            default: return .error(400, "bad_request", "\(sides[0]) is not known here")
            }
        }
        let list = try await operations.list(state, limit)
        return Answer(status: 200, body: JSONValue.array(list.map { .object($0.json) }).text)
    }

    private func retry(_ id: String, _ operations: Operations) async throws -> Answer {
        switch try await operations.retry(id) {
        case .due(let delivery): return Answer(status: 200, body: delivery.json.text)
        case .unknown: return .error(404, "not_found", "There is no such mail")
        case .refused(let reason): return .error(409, "not_retryable", reason)
        }
    }

    static func notAllowed(_ methods: String) -> Answer {
        var answer = Answer.error(405, "method_not_allowed", "The method is not allowed here")
        answer.fields = [HTTPField("allow", methods)]
        return answer
    }
}

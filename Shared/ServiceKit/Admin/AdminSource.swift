// SPDX-License-Identifier: Apache-2.0

/// What the admin port answers with.
struct AdminSource: Sendable {
    struct Answer: Sendable, Equatable {
        /// HTTP status.
        let status: Int
        let contentType: String
        let body: String

        static func text(_ status: Int, _ body: String) -> Answer {
            Answer(status: status, contentType: "text/plain; charset=utf-8", body: body + "\n")
        }
    }

    let readiness: Readiness
    let metrics: MetricsRegistry

    /// The answer to a request; `target` is as it stands in the request line.
    func answer(isRead: Bool, target: String) -> Answer {
        switch target.prefix(while: { $0 != "?" }) {
        case "/livez", "/readyz", "/metrics":
            guard isRead else { return .text(405, "only GET and HEAD") }
        default: return .text(404, "no such path; there are /livez, /readyz and /metrics")
        }
        switch target.prefix(while: { $0 != "?" }) {
        case "/livez": return .text(200, "ok")
        case "/readyz":
            switch readiness.status {
            case .ready: return .text(200, "ready")
            case .notReady(let reason): return .text(503, reason)
            }
        default:
            return Answer(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: metrics.text)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// What operators see of the deliveries, and what they can do to them.
extension MailStore {
    /// A delivery without its content.
    struct Delivery: Sendable, Equatable {
        let id: String
        let state: String
        let recipient: String
        let template: String
        let messageID: String
        let attempts: Int64
        let lastError: String?
        /// Microseconds since 1970 UTC.
        let createdAt: Int64
        /// When the next attempt is due; nil when none is.
        let dueAt: Int64?
        let finishedAt: Int64?
        let trace: TraceContext
    }

    /// What became of the wish to send a mail again.
    enum Retry: Sendable, Equatable {
        case due(Delivery)
        case unknown
        /// The server has it, an attempt is under way, or its content is gone.
        case refused(String)
    }

    static let states = ["queued", "sending", "sent", "dead"]

    private static let columns = """
        id, state, recipient, template, message_id, attempts, last_error, created_at, due_at, finished_at, trace
        """

    /// The newest first.
    func deliveries(state: String?, limit: Int) async throws -> [Delivery] {
        try await database.read { session in
            let condition = state == nil ? "" : " where state = $1"
            return try session.query(
                "select \(Self.columns) from deliveries\(condition) order by created_at desc, id limit \(limit)",
                state.map { [.text($0)] } ?? []
            ).map(Self.delivery)
        }
    }

    /// Makes a dead mail due again, with all its patience, and a waiting one due now. Its Message-ID stays.
    func retry(_ id: String, now: Int64) async throws -> Retry {
        try await database.write { session in
            let count = try session.execute(
                """
                update deliveries set state = 'queued', due_at = $2, tried_from = $2, attempts = 0, finished_at = null \
                where id = $1 and content is not null and state in ('queued', 'dead')
                """, [.text(id), .integer(now)])
            let rows = try session.query("select \(Self.columns) from deliveries where id = $1", [.text(id)])
            guard let delivery = rows.first.map(Self.delivery) else { return .unknown }
            if count == 1 { return .due(delivery) }
            return switch delivery.state {
            case "sent": .refused("The mail was sent already")
            case "sending": .refused("An attempt is under way")
            default: .refused("The mail's content is gone")
            }
        }
    }

    private static func delivery(_ row: SQLRow) -> Delivery {
        let isWaiting = row[9].isNull
        return Delivery(
            id: row[0].textValue ?? "", state: row[1].textValue ?? "", recipient: row[2].textValue ?? "",
            template: row[3].textValue ?? "", messageID: row[4].textValue ?? "", attempts: row[5].integerValue ?? 0,
            lastError: row[6].textValue, createdAt: row[7].integerValue ?? 0,
            dueAt: isWaiting ? row[8].integerValue : nil, finishedAt: row[9].integerValue,
            trace: TraceContext(line: row[10].textValue ?? ""))
    }
}

extension MailStore.Delivery {
    private static func text(_ microseconds: Int64) -> JSONValue {
        .string(WallTime(seconds: microseconds / 1_000_000, nanoseconds: microseconds % 1_000_000 * 1_000).text)
    }

    /// As `/notification/v1/deliveries` shows it.
    var json: JSONObject {
        [
            "id": .string(id), "state": .string(state), "to": .string(recipient), "template": .string(template),
            "message_id": .string(messageID), "attempts": .integer(attempts),
            "error": lastError.map { .string($0) } ?? .null, "created_at": Self.text(createdAt),
            "due_at": dueAt.map(Self.text) ?? .null,
            "finished_at": finishedAt.map(Self.text) ?? .null,
            "request_id": .string(trace.requestID),
        ]
    }
}

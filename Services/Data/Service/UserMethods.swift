// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletWire

/// `data.users.put` and `data.users.delete` (D25).
struct UserMethods {
    let engine: any RowEngine

    func put(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_UsersPutRequest(payload: request.payload),
            let id = Self.identifier(message.userID), message.operation == .create || message.operation == .update,
            let base = Int64(exactly: message.baseVersion), let version = Int64(exactly: message.version)
        else { return Self.badMessage }
        let columns = message.columns.map { column in
            if case .text(let text)? = column.content {
                UserColumn(column.name, text)
            } else {
                UserColumn(column.name, nil)
            }
        }
        let change = UserChange(
            id: id, baseVersion: base, version: version, isCreation: message.operation == .create, columns: columns)
        do {
            let outcome = try await engine.putUser(change, session: session(request))
            return OutboundReply(payload: Self.message(outcome).payload)
        } catch {
            return Self.failure(error)
        }
    }

    func delete(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_UsersDeleteRequest(payload: request.payload),
            let id = Self.identifier(message.userID)
        else { return Self.badMessage }
        var reply = Martlet_Wire_V1_UsersDeleteReply()
        do {
            switch try await engine.deleteUser(id: id, session: session(request)) {
            case .deleted: reply.outcome = .deleted
            case .absent: reply.outcome = .absent
            case .refused(let error):
                reply.outcome = .refused
                reply.refusal = Self.refusal(error)
            }
            return OutboundReply(payload: reply.payload)
        } catch {
            return Self.failure(error)
        }
    }

    /// Most changes of one answer.
    private static let changesMax = 100

    func changes(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_UsersChangesRequest(payload: request.payload),
            message.acknowledged.count <= Self.changesMax
        else { return Self.badMessage }
        let wanted = message.changesMax == 0 ? Self.changesMax : Int(message.changesMax)
        do {
            let news = try await engine.userNews(
                acknowledged: message.acknowledged.map { Int64(clamping: $0) }, max: min(wanted, Self.changesMax),
                session: session(request))
            var reply = Martlet_Wire_V1_UsersChangesReply()
            reply.changes = news.map { change in
                var entry = Martlet_Wire_V1_UserChangeEntry()
                entry.number = UInt64(max(0, change.number))
                entry.userID = change.id
                entry.version = UInt64(max(0, change.version))
                entry.deleted = change.row == nil
                entry.columns = Self.columns(change.row ?? [])
                return entry
            }
            return OutboundReply(payload: reply.payload)
        } catch {
            return Self.failure(error)
        }
    }

    private func session(_ request: InboundRequest) -> RequestSession {
        RequestSession(
            role: "supabase_auth_admin", trace: request.header.trace, deadline: request.deadline)
    }

    /// A UUID in lower case; nil for anything else.
    private static func identifier(_ text: String) -> String? {
        let lower = Array(text.lowercased().utf8)
        let isWell =
            lower.count == 36
            && lower.enumerated().allSatisfy { position, byte in
                switch position {
                case 8, 13, 18, 23: byte == UInt8(ascii: "-")
                default:
                    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte
                }
            }
        return isWell ? String(decoding: lower, as: UTF8.self) : nil
    }

    private static func message(_ outcome: UserOutcome) -> Martlet_Wire_V1_UsersPutReply {
        var reply = Martlet_Wire_V1_UsersPutReply()
        switch outcome {
        case .applied(let row, let version): fill(&reply, .applied, row, version)
        case .unchanged(let row, let version): fill(&reply, .unchanged, row, version)
        case .stale(let row, let version): fill(&reply, .stale, row, version)
        case .gone: reply.outcome = .gone
        case .refused(let error):
            reply.outcome = .refused
            reply.refusal = refusal(error)
        }
        return reply
    }

    private static func fill(
        _ reply: inout Martlet_Wire_V1_UsersPutReply, _ outcome: Martlet_Wire_V1_UsersPutReply.Outcome,
        _ row: [UserColumn], _ version: Int64
    ) {
        reply.outcome = outcome
        reply.version = UInt64(max(0, version))
        reply.columns = columns(row)
    }

    private static func columns(_ row: [UserColumn]) -> [Martlet_Wire_V1_ColumnValue] {
        row.map { column in
            var value = Martlet_Wire_V1_ColumnValue()
            value.name = column.name
            if let text = column.value { value.text = text } else { value.null = true }
            return value
        }
    }

    private static func refusal(_ error: RowError) -> Martlet_Wire_V1_Refusal {
        var refusal = Martlet_Wire_V1_Refusal()
        refusal.sqlState = error.code
        refusal.message = error.message
        refusal.detail = error.details.stringValue ?? ""
        refusal.hint = error.hint ?? ""
        return refusal
    }

    private static let badMessage = OutboundReply(
        header: ReplyHeader(code: .badMessage, executed: .no, message: "the payload is not the method's"))

    private static func failure(_ error: any Error) -> OutboundReply {
        let known = error as? DatabaseError
        return OutboundReply(
            header: ReplyHeader(
                code: known == nil ? .internalError : .storageUnavailable,
                executed: known?.isRetriable == true ? .no : .unknown,
                message: known.map { "\($0.message) (\($0.sqlState))" } ?? "\(error)"))
    }
}

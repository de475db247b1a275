// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import MartletBus
import MartletDatabase
import MartletJSON
import MartletSQL
import MartletWire
import NIOCore

/// `data.visible` and `data.feed.describe`.
struct VisibleMethods {
    let engine: any RowEngine

    func visible(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_VisibleRequest(payload: request.payload),
            let epoch = Int64(exactly: message.epoch),
            message.sequences.count <= VisibilityQuestion.sequencesMax,
            message.claimSets.count <= VisibilityQuestion.claimSetsMax,
            message.sequences.allSatisfy({ $0 <= UInt64(Int64.max) })
        else { return Self.refusal(.badMessage, "the payload is not the method's") }
        switch message.stream {
        case LogStream.rows: break
        case LogStream.auth: return Self.refusal(.notAuthorized, "the stream auth is for the authentication service")
        default: return Self.refusal(.badMessage, "there is no such stream")
        }
        let question = VisibilityQuestion(
            stream: message.stream, epoch: epoch, sequences: message.sequences.map { Int64($0) },
            claimSets: message.claimSets.map { Self.caller(role: $0.role, claims: $0.claims) },
            deadline: request.deadline)
        do {
            return OutboundReply(payload: Self.message(try await engine.visible(question)).payload)
        } catch {
            return Self.failure(error)
        }
    }

    func describe(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_FeedDescribeRequest(payload: request.payload) else {
            return Self.refusal(.badMessage, "the payload is not the method's")
        }
        do {
            let description = try await engine.describeFeed(
                schema: message.schema, table: message.table, deadline: request.deadline)
            return OutboundReply(payload: Self.message(description).payload)
        } catch {
            return Self.failure(error)
        }
    }

    /// What `/rest/v1` makes of the same token.
    static func caller(role: String, claims: String) -> RequestSession {
        guard var object = (try? JSONValue(parsing: claims))?.objectValue else { return RequestSession(role: role) }
        var text = claims
        if object["role"] == nil {
            object["role"] = .string(role)
            text = object.text
        }
        let subject = object["sub"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        return RequestSession(role: role, subject: subject, email: object["email"]?.stringValue, claims: text)
    }

    private static func message(_ answer: VisibilityAnswer) -> Martlet_Wire_V1_VisibleReply {
        var reply = Martlet_Wire_V1_VisibleReply()
        reply.schemaVersion = UInt64(max(0, answer.schemaVersion))
        reply.changes = answer.changes.map { change in
            var message = Martlet_Wire_V1_ChangeVisibility()
            message.sequence = UInt64(max(0, change.sequence))
            message.visible = Data(change.visible.bytes)
            message.denied = Data(change.denied.bytes)
            message.masks = change.masks.map { mask in
                var message = Martlet_Wire_V1_ColumnMask()
                message.claimSet = UInt32(clamping: mask.claimSet)
                message.columns = mask.columns
                return message
            }
            message.rowSecurity = change.rowSecurity
            message.gone = change.isGone
            return message
        }
        return reply
    }

    private static func message(_ description: FeedDescription) -> Martlet_Wire_V1_FeedDescribeReply {
        var reply = Martlet_Wire_V1_FeedDescribeReply()
        reply.schemaVersion = UInt64(max(0, description.schemaVersion))
        reply.epoch = UInt64(max(0, description.epoch))
        reply.head = UInt64(max(0, description.head))
        reply.tables = description.tables.map { table in
            var message = Martlet_Wire_V1_FeedTable()
            message.schema = table.name.schema
            message.name = table.name.name
            message.key = table.key
            message.rowSecurity = table.rowSecurity
            message.columns = table.columns.map { column in
                var message = Martlet_Wire_V1_FeedColumn()
                message.name = column.name
                message.type = column.type
                message.labels = column.labels
                return message
            }
            return message
        }
        return reply
    }

    private static func refusal(_ code: ErrorCode, _ message: String) -> OutboundReply {
        OutboundReply(header: ReplyHeader(code: code, executed: .no, message: message))
    }

    private static func failure(_ error: any Error) -> OutboundReply {
        let known = error as? DatabaseError
        return refusal(
            known == nil ? .internalError : .storageUnavailable,
            known.map { "\($0.message) (\($0.sqlState))" } ?? "\(error)")
    }
}

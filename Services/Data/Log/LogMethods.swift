// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
import MartletBus
import MartletDatabase
import MartletWire
import NIOCore

/// `data.log.pull`.
struct LogMethods {
    let log: any LogStore

    /// Entries and bytes of one answer: what a request gets that names none, and what it gets at most.
    private static let entries = (standard: 512, max: 2_000)
    private static let bytes = (standard: 1 << 20, max: 4 << 20)

    func pull(_ request: InboundRequest) async -> OutboundReply {
        guard let message = try? Martlet_Wire_V1_LogPullRequest(payload: request.payload),
            let epoch = Int64(exactly: message.epoch), let after = Int64(exactly: message.after)
        else { return Self.refusal(.badMessage, "the payload is not the method's") }
        switch message.stream {
        case LogStream.rows: break
        case LogStream.auth: return Self.refusal(.notAuthorized, "the stream auth is for the authentication service")
        default: return Self.refusal(.badMessage, "there is no such stream")
        }
        do {
            let pulled = try await log.pull(
                message.stream, epoch: epoch, after: after, entriesMax: Self.bound(message.entriesMax, Self.entries),
                bytesMax: Self.bound(message.bytesMax, Self.bytes), deadline: request.deadline)
            return OutboundReply(payload: Self.message(pulled).payload)
        } catch {
            let known = error as? DatabaseError
            return OutboundReply(
                header: ReplyHeader(
                    code: known == nil ? .internalError : .storageUnavailable, executed: .no,
                    message: known.map { "\($0.message) (\($0.sqlState))" } ?? "\(error)"))
        }
    }

    private static func bound(_ asked: UInt32, _ limits: (standard: Int, max: Int)) -> Int {
        asked == 0 ? limits.standard : min(Int(asked), limits.max)
    }

    private static func message(_ pulled: LogPull) -> Martlet_Wire_V1_LogPullReply {
        var reply = Martlet_Wire_V1_LogPullReply()
        let head: LogHead
        switch pulled {
        case .snapshotRequired(let now):
            head = now
            reply.outcome = .snapshotRequired
        case .entries(let entries, let now):
            head = now
            reply.outcome = .entries
            reply.entries = entries.map(Self.message)
        }
        reply.epoch = UInt64(max(0, head.epoch))
        reply.head = UInt64(max(0, head.head))
        reply.trimmed = UInt64(max(0, head.trimmed))
        return reply
    }

    private static func message(_ entry: LogEntry) -> Martlet_Wire_V1_LogEntry {
        var message = Martlet_Wire_V1_LogEntry()
        message.sequence = UInt64(max(0, entry.sequence))
        message.id = entry.id
        message.type = entry.type
        message.key = entry.key
        message.timeMicroseconds = entry.time
        message.transaction = entry.transaction
        message.headers = entry.headers
        message.body = Data(entry.body)
        return message
    }

    private static func refusal(_ code: ErrorCode, _ message: String) -> OutboundReply {
        OutboundReply(header: ReplyHeader(code: code, executed: .no, message: message))
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletWire
internal import NIOCore

/// The directory that the data service keeps, over the bus.
struct BusUserDirectory: UserDirectory {
    let bus: Bus

    func put(
        _ change: DirectoryChange, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> DirectoryOutcome {
        var message = Martlet_Wire_V1_UsersPutRequest()
        message.userID = change.userID
        message.operation = change.isCreation ? .create : .update
        message.baseVersion = UInt64(change.baseVersion)
        message.version = UInt64(change.version)
        message.columns = change.columns.sorted { $0.key < $1.key }.map { name, value in
            var column = Martlet_Wire_V1_ColumnValue()
            column.name = name
            column.content = value.map { .text($0) } ?? .null(true)
            return column
        }
        let reply: Martlet_Wire_V1_UsersPutReply = try await ask(
            MethodRegistry.usersPut, message.payload, change.trace, deadline: deadline)
        switch reply.outcome {
        case .applied, .unchanged:
            return .done(version: Int64(clamping: reply.version), columns: Self.columns(reply.columns))
        case .refused: return .refused(sqlState: reply.refusal.sqlState, message: reply.refusal.message)
        case .gone, .stale: return .lost
        case .unspecified, .UNRECOGNIZED:
            throw DirectoryFailure(isCertain: false, message: "data answered with an unknown outcome")
        }
    }

    func delete(
        userID: String, version: Int64, trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> DirectoryOutcome {
        var message = Martlet_Wire_V1_UsersDeleteRequest()
        message.userID = userID
        message.version = UInt64(version)
        let reply: Martlet_Wire_V1_UsersDeleteReply = try await ask(
            MethodRegistry.usersDelete, message.payload, trace, deadline: deadline)
        switch reply.outcome {
        case .deleted, .absent: return .done(version: version, columns: [:])
        case .refused: return .refused(sqlState: reply.refusal.sqlState, message: reply.refusal.message)
        case .unspecified, .UNRECOGNIZED:
            throw DirectoryFailure(isCertain: false, message: "data answered with an unknown outcome")
        }
    }

    func changes(
        acknowledged: [UInt64], trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> [ForeignChange] {
        var message = Martlet_Wire_V1_UsersChangesRequest()
        message.acknowledged = acknowledged
        let reply: Martlet_Wire_V1_UsersChangesReply = try await ask(
            MethodRegistry.usersChanges, message.payload, trace, deadline: deadline)
        return reply.changes.map { entry in
            ForeignChange(
                number: entry.number, userID: entry.userID, version: Int64(clamping: entry.version),
                columns: entry.deleted ? nil : Self.columns(entry.columns))
        }
    }

    private static func columns(_ values: [Martlet_Wire_V1_ColumnValue]) -> [String: String?] {
        var columns: [String: String?] = [:]
        for column in values {
            if case .text(let text)? = column.content {
                columns[column.name] = .some(text)
            } else {
                columns[column.name] = .some(nil)
            }
        }
        return columns
    }

    private func ask<Reply: MethodPayload>(
        _ method: Method, _ payload: ByteBuffer, _ trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> Reply {
        let answer: ByteBuffer
        do throws(BusError) {
            answer = try await bus.request(
                method, to: .data, header: RequestHeader(trace: trace), payload: payload, deadline: deadline
            ).payload
        } catch {
            throw DirectoryFailure(
                isCertain: error.executed == .no, message: "\(error.code.name) \(error.message)")
        }
        do throws(WireError) {
            return try Reply(payload: answer)
        } catch { throw DirectoryFailure(isCertain: false, message: "data's answer cannot be read") }
    }
}

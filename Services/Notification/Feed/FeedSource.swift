// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletWire

/// The data service, as the feed asks it. A protocol so that tests can be the log.
protocol FeedSource: Sendable {
    func pull(epoch: UInt64, after: UInt64) async throws(FeedFailure) -> Martlet_Wire_V1_LogPullReply
    func visible(_ request: Martlet_Wire_V1_VisibleRequest) async throws(FeedFailure) -> Martlet_Wire_V1_VisibleReply
    func describe(_ table: TableKey) async throws(FeedFailure) -> Martlet_Wire_V1_FeedDescribeReply
}

/// Why the data service did not answer.
struct FeedFailure: Error, Sendable {
    /// Whether asking again can help.
    let isPassing: Bool
    let message: String
}

/// The data service over the bus.
struct BusFeedSource: FeedSource {
    static let stream = "rows"

    let bus: Bus

    func pull(epoch: UInt64, after: UInt64) async throws(FeedFailure) -> Martlet_Wire_V1_LogPullReply {
        var request = Martlet_Wire_V1_LogPullRequest()
        request.stream = Self.stream
        request.epoch = epoch
        request.after = after
        request.entriesMax = UInt32(FeedReader.batchEntriesMax)
        return try await ask(MethodRegistry.logPull, request)
    }

    func visible(
        _ request: Martlet_Wire_V1_VisibleRequest
    ) async throws(FeedFailure) -> Martlet_Wire_V1_VisibleReply {
        try await ask(MethodRegistry.visible, request)
    }

    func describe(_ table: TableKey) async throws(FeedFailure) -> Martlet_Wire_V1_FeedDescribeReply {
        var request = Martlet_Wire_V1_FeedDescribeRequest()
        request.schema = table.schema
        request.table = table.table
        return try await ask(MethodRegistry.feedDescribe, request)
    }

    private func ask<Reply: MethodPayload>(
        _ method: Method, _ request: some MethodPayload
    ) async throws(FeedFailure) -> Reply {
        do {
            let reply = try await bus.request(method, to: .data, header: RequestHeader(), payload: request.payload)
            return try Reply(payload: reply.payload)
        } catch let error as BusError {
            let isPassing =
                switch error.code {
                case .busy, .draining, .unavailable, .linkLost, .deadlineExceeded, .storageUnavailable: true
                default: false
                }
            throw FeedFailure(isPassing: isPassing, message: "\(error.code.name) \(error.message)")
        } catch {
            throw FeedFailure(isPassing: false, message: "data's answer cannot be read")
        }
    }
}

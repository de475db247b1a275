// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletWire

/// Data's change log. A protocol so that tests can be the log.
protocol LogSource: Sendable {
    /// Entries after a cursor; an epoch of 0 asks for the head alone.
    func pull(epoch: Int64, after: Int64) async throws -> Martlet_Wire_V1_LogPullReply
}

/// The log over the bus.
struct BusLogSource: LogSource {
    static let stream = "rows"
    /// Entries of one transaction of ours, so that it is short.
    private static let entriesMax: UInt32 = 256

    let bus: Bus

    func pull(epoch: Int64, after: Int64) async throws -> Martlet_Wire_V1_LogPullReply {
        var request = Martlet_Wire_V1_LogPullRequest()
        request.stream = Self.stream
        request.epoch = UInt64(max(0, epoch))
        request.after = UInt64(max(0, after))
        request.entriesMax = Self.entriesMax
        let reply = try await bus.request(
            MethodRegistry.logPull, to: .data, header: RequestHeader(), payload: request.payload)
        return try Martlet_Wire_V1_LogPullReply(payload: reply.payload)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletJSON
internal import MartletWire
internal import ServiceLifecycle

/// Waits until every service of the process is ready, says so once, and then for the end.
struct ReadyNotice: Service {
    let contexts: [ServiceContext]
    let body: @Sendable ([ServiceName: JSONObject]) -> Void

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            for context in contexts { try await context.readiness.waitUntilReady() }
            body(Dictionary(uniqueKeysWithValues: contexts.map { ($0.name, $0.listeners.all) }))
        }
        try? await gracefulShutdown()
    }
}

/// The number of this process.
enum ProcessNumber {
    static var own: Int32 { getpid() }
}

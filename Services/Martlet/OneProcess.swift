// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// `martlet up`: the five services in this process, talking through memory.
struct OneProcess: Sendable {
    let settings: Settings

    /// Returns after a graceful stop.
    func run() async throws {
        let begin = ContinuousClock.now
        let keys = try KeyStore(settings).projectKeys()
        let settings = settings
        try await Assembly(services: Suite.services, settings: settings, topology: .oneProcess).run { listeners in
            let address = listeners[.edge]?["http"]?.stringValue ?? ""
            let summary = ReadySummary(
                settings: settings, keys: keys, address: address, duration: ContinuousClock.now - begin)
            Console.print(summary.text)
        }
    }
}

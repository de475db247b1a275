// SPDX-License-Identifier: Apache-2.0

package import MartletBus
internal import MartletJSON
package import MartletWire

/// The bus as the command line speaks it: a client with the key of the `operator`, to a suite that runs.
package enum OperatorBus {
    /// Lends a bus on which requests to `target` and subscriptions to its events work.
    ///
    /// - Throws: `StartFailure`, or what `body` throws.
    package static func with<Result: Sendable>(
        _ settings: Settings, to target: ServiceName, _ body: (Bus) async throws -> Result
    ) async throws -> Result {
        let directory = try DataDirectory(path: DataDirectory.path(settings))
        var configuration = BusConfiguration(
            service: .operator, instance: "operator-\(ProcessNumber.own)",
            peers: [target: try endpoints(of: target, settings, directory)])
        let keys = try BusKeys.load(.operator, from: directory, mode: settings[\.process.mode])
        configuration.keys = keys.own
        configuration.serverKeys = keys.serverKeys
        let thread: BusThread
        let bus: Bus
        do throws(BusError) {
            thread = try BusThread()
            bus = try Bus(configuration, on: thread)
        } catch { throw StartFailure(.internalError, "The bus cannot be used: \(error.message)") }
        defer { thread.shutDown() }
        let running = Task { try await bus.run() }
        defer { running.cancel() }
        return try await body(bus)
    }

    /// The setting wins; else what the service says itself; else where it will listen.
    private static func endpoints(
        of target: ServiceName, _ settings: Settings, _ directory: DataDirectory
    ) throws -> [PeerEndpoint] {
        let named = SettingsTable.shared.bus.endpoints(of: target).map { settings[$0] } ?? []
        if named.isEmpty, let listeners = try? PortsFile(directory).read()[target.rawValue],
            let request = listeners["request"]?.stringValue?.split(separator: " ").first
        {
            guard !request.hasPrefix("inproc:") else {
                throw StartFailure(
                    .usage,
                    "The suite of \(directory.path) runs in one process, whose bus nobody reaches from outside; "
                        + "`martlet up --processes` runs five.")
            }
            let event = listeners["event"]?.stringValue?.split(separator: " ").first ?? ""
            return [PeerEndpoint(request: String(request), event: String(event))]
        }
        return try BusEndpoints.separate(.operator, settings: settings, directory: directory).peers[target] ?? []
    }
}

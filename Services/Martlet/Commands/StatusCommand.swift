// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// `martlet status`: which services of a data directory run, and whether they are ready.
struct StatusCommand {
    let settings: Settings
    let services: [ServiceName]

    /// Throws `StartFailure` with status `unavailable` unless all are ready.
    func run() throws(StartFailure) {
        let path = DataDirectory.path(settings)
        // Only looks: a directory that is not there is not made.
        let listeners: JSONObject
        do {
            listeners = PosixFile.isFolder(path) ? try PortsFile(DataDirectory(path: path)).read() : JSONObject()
        } catch { throw StartFailure(.unavailable, "run/ports.json: \(error)") }
        var missing: [String] = []
        for service in services {
            let own = listeners[service.rawValue]?.objectValue
            let state = state(own)
            if state != ReadinessProbe.Answer.ready.text { missing.append(service.rawValue) }
            var line = service.rawValue.padded(to: 14) + state.padded(to: 14)
            if let own, state != Self.absent {
                if let process = own["pid"] { line += "process \(process.text)".padded(to: 16) }
                line += own["http"]?.stringValue ?? own["admin"]?.stringValue ?? ""
            }
            Console.print(line + "\n")
        }
        guard missing.isEmpty else {
            throw StartFailure(.unavailable, "not ready: \(missing.joined(separator: ", "))")
        }
    }

    private static let absent = "not running"

    private func state(_ listeners: JSONObject?) -> String {
        guard let listeners, let address = listeners["admin"]?.stringValue else { return Self.absent }
        return ReadinessProbe.ask(address).text
    }
}

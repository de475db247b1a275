// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletJSON
internal import MartletWire
internal import Synchronization

/// What one service listens on, mirrored into `run/ports.json`. That file is for people and tools: when it cannot be
/// written the service goes on and says so.
final class Listeners: Sendable {
    private let service: ServiceName
    private let file: PortsFile
    private let logger: Logger
    private let members = Mutex(JSONObject())

    init(_ service: ServiceName, file: PortsFile, logger: Logger) {
        self.service = service
        self.file = file
        self.logger = logger
    }

    /// An empty address adds nothing.
    func add(_ what: String, _ address: String) {
        guard !address.isEmpty else { return }
        let all = members.withLock { members in
            members[what] = .string(address)
            return members
        }
        write(all)
    }

    var all: JSONObject { members.withLock { $0 } }

    /// Takes the service out of the file.
    func removeAll() { write(nil) }

    private func write(_ members: JSONObject?) {
        do { try file.set(service, members) } catch {
            logger.warning("run/ports.json cannot be written.", metadata: ["error.detail": "\(error)"])
        }
    }
}

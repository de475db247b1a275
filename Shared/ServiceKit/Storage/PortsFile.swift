// SPDX-License-Identifier: Apache-2.0

internal import Glibc
package import MartletJSON
package import MartletWire

/// `run/ports.json`: what listens where, for people and tools (D7). Several processes write their own member, each
/// under a lock and in one step.
package struct PortsFile: Sendable {
    private let path: String

    package init(_ directory: DataDirectory) { path = directory.run + "/ports.json" }

    /// Sets the member of a service; nil removes it.
    package func set(_ service: ServiceName, _ listeners: JSONObject?) throws {
        let lock = try FileLock(path: path + ".lock", waiting: true)
        var members = try read()
        members[service.rawValue] = listeners.map { listeners in
            var listeners = listeners
            listeners["pid"] = .integer(getpid())
            return .object(listeners)
        }
        try PosixFile.replace(path, with: members.text + "\n")
        _ = consume lock
    }

    /// All members; empty without a file. A broken file counts as none: it only repeats what processes know.
    package func read() throws -> JSONObject {
        guard let text = try PosixFile.read(path, bytesMax: 65_536) else { return JSONObject() }
        return (try? JSONValue(parsing: text))?.objectValue ?? JSONObject()
    }
}

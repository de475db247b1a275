// SPDX-License-Identifier: Apache-2.0

internal import Glibc
package import MartletWire

/// The folder that holds everything durable (D7), with a lock per service: a file belongs to one process.
package final class DataDirectory: Sendable {
    /// From the root on.
    package let path: String

    /// Opens the directory, making it with mode 0700 and its folders if they are not there. It ignores itself in git.
    package init(path: String) throws(StartFailure) {
        self.path = PosixFile.absolute(path)
        do {
            try PosixFile.makeFolder(self.path, mode: 0o700)
            for folder in [keys, keys + "/curve", run, mail] { try PosixFile.makeFolder(folder, mode: 0o700) }
            if !PosixFile.exists(self.path + "/.gitignore") {
                try PosixFile.replace(self.path + "/.gitignore", with: "*\n", mode: 0o644)
            }
        } catch {
            throw StartFailure(.cannotCreate, "The data directory cannot be used: \(error)")
        }
    }

    /// The directory that the settings name.
    package static func path(_ settings: Settings) -> String {
        guard let named = settings[\.process.dataDirectory] else { return settings.project.path + "/.martlet" }
        if case .file = settings.origin(of: SettingsTable.shared.process.dataDirectory) {
            return PosixFile.absolute(named, from: settings.project.path)
        }
        return PosixFile.absolute(named)
    }

    package var keys: String { path + "/keys" }
    package var run: String { path + "/run" }
    package var mail: String { path + "/mail" }

    /// The database file of a service.
    package func database(of service: ServiceName) -> String { "\(path)/\(service.rawValue).db" }

    /// The folder of a PostgreSQL server that the data service runs itself (D24b).
    package var postgres: String { path + "/postgres" }
    /// Which engine the application's tables are on, once it was decided (D24b).
    package var engineFile: String { path + "/engine" }

    /// Lets another user of this machine pass through the directory to a folder of its own: nobody can list it, and what
    /// else is in it stays this user's alone.
    package func letOthersThrough() throws(StartFailure) {
        umask(0o077)
        for name in PosixFile.names(in: path) where name != ".gitignore" {
            let file = "\(path)/\(name)"
            if !PosixFile.isFolder(file) { chmod(file, 0o600) }
        }
        guard chmod(path, 0o711) == 0 else {
            throw StartFailure(.cannotCreate, "\(path): \(PosixFile.text(of: errno))")
        }
    }

    /// The socket that a service binds with transport `ipc`.
    package func socket(of service: ServiceName, _ purpose: String) -> String {
        "\(run)/\(service.rawValue).\(purpose)"
    }

    /// Whether the paths of all sockets are short enough for transport `ipc`.
    package var hasRoomForSockets: Bool {
        ServiceName.allCases.allSatisfy { NetworkText.isSocketPath(socket(of: $0, "request")) }
    }

    /// Takes the lock of a service for as long as the result lives.
    package func lock(_ service: ServiceName) throws(StartFailure) -> ServiceLock {
        let file = "\(run)/\(service.rawValue).lock"
        do {
            return ServiceLock(lock: try FileLock(path: file))
        } catch let held as FileLock.Held {
            throw StartFailure(
                .alreadyRunning,
                "The \(service.rawValue) service of the data directory \(path) is already running as process \(held.process) (\(file))."
            )
        } catch {
            throw StartFailure(.cannotCreate, "The data directory cannot be used: \(error)")
        }
    }
}

/// The right to be the one process of a service in a data directory; given back when it is released.
package final class ServiceLock: Sendable {
    private let lock: FileLock
    init(lock: consuming FileLock) { self.lock = lock }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletServiceKit

/// The folder of a managed server: its cluster, and its socket.
struct ManagedCluster: Sendable, Equatable {
    /// From the root on.
    let folder: String
    /// Where its socket stands: the same folder, or another one where that path is too long for a socket.
    let socketFolder: String
    let binaries: PostgresBinaries
    /// Who the server runs as; nil for this process's own user. PostgreSQL refuses to be root.
    let user: SystemUser?

    var data: String { folder + "/cluster" }

    /// What a start makes in the folder.
    static let ownNames: Set<String> = ["cluster", "unfinished", "lock", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"]

    static func folder(_ settings: Settings, _ directory: DataDirectory) -> String {
        settings[\.data.postgresFolder].map { PosixFile.absolute($0) } ?? directory.postgres
    }

    /// Name of the login that owns the cluster. `postgres` is the application's owner, which is no superuser, as in
    /// Supabase's projects.
    static let login = "martlet_owner"

    /// The database; `cron` and others expect this name.
    static let database = "postgres"

    /// By its socket, in a folder that only the server's user, and root, can enter.
    var url: String { url(as: Self.login) }

    /// It lets in every role that may log in: whoever gets into the folder is the server's user, or root.
    func url(as login: String) -> String {
        "postgres://\(login)@/\(Self.database)?host=\(Self.encoded(socketFolder))"
    }

    private static func encoded(_ path: String) -> String {
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/".utf8)
        let digits = Array("0123456789ABCDEF")
        return path.utf8.map { byte in
            plain.contains(byte)
                ? String(UnicodeScalar(byte)) : "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }.joined()
    }

    /// Where the socket of a server in `folder` is to stand. It may be a new folder, which its maker removes.
    static func socketFolder(for folder: String) throws(StartFailure) -> String {
        if NetworkText.isSocketPath(folder + "/.s.PGSQL.5432") { return folder }
        do { return try PosixFile.makeTemporaryFolder("/tmp/martlet-postgres-") } catch {
            throw StartFailure(.cannotCreate, "No folder for the database's socket: \(error)")
        }
    }

    /// Settings for a database of one application on a machine that does other things too, written once: the file is the
    /// operator's afterwards. Connections are for every replica's pool and for tools.
    static let settings = """

        # Written by martlet when the cluster was made; change what you like. Where it listens is given on the command line.
        max_connections = 100
        shared_buffers = 64MB
        max_wal_size = 512MB
        min_wal_size = 64MB
        wal_recycle = off
        max_worker_processes = 4
        max_wal_senders = 2
        # Requests are short: compiling their plans costs more than it brings.
        jit = off
        log_destination = 'stderr'
        logging_collector = off
        log_line_prefix = ''
        log_checkpoints = off
        timezone = 'UTC'
        log_timezone = 'UTC'
        """

    /// The server: in its folder only, and nowhere else.
    var server: ProcessCommand {
        var command = ProcessCommand(
            program: "\(binaries.folder)/postgres",
            arguments: [
                "-D", data, "-c", "listen_addresses=", "-c", "unix_socket_directories=\(socketFolder)", "-c",
                "unix_socket_permissions=0700", "-c", "port=5432", "-c", "cluster_name=martlet",
            ], environment: environment, folder: "/", filesMax: 65_536)
        command.user = user
        // Fast shutdown: who is connected is cut off, what is committed is on the disk.
        command.deathSignal = SIGINT
        return command
    }

    private var environment: [String: String] { ["PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"] }

    /// Makes the cluster if there is none. A run that is cut short leaves none.
    ///
    /// - Throws: `StartFailure` when it cannot be made, and for a cluster of another version.
    func prepare() throws(StartFailure) {
        do {
            try PosixFile.makeFolder(folder, mode: 0o700)
        } catch { throw StartFailure(.cannotCreate, "The folder of the database cannot be made: \(error)") }
        try give(folder)
        if socketFolder != folder { try give(socketFolder) }
        if let version = Self.version(of: data) {
            guard version == binaries.version else { throw Self.otherVersion(version, data, binaries) }
            return
        }
        let unfinished = folder + "/unfinished"
        do { try PosixFile.removeTree(unfinished) } catch {
            throw StartFailure(.cannotCreate, "An unfinished database cannot be removed: \(error)")
        }
        var command = ProcessCommand(
            program: "\(binaries.folder)/initdb",
            arguments: [
                "-D", unfinished, "-U", Self.login, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums",
                "--no-instructions",
            ], environment: environment, folder: "/")
        command.user = user
        if case .failure(let failure) = ManagedProcess.output(of: command) {
            throw StartFailure(.cannotCreate, "The database cannot be made: \(failure.reason)")
        }
        do {
            try PosixFile.append(Self.settings + "\n", to: unfinished + "/postgresql.conf")
            try PosixFile.rename(unfinished, to: data)
        } catch { throw StartFailure(.cannotCreate, "The database cannot be made: \(error)") }
    }

    /// Major version of a cluster; nil when there is none.
    static func version(of data: String) -> Int? {
        guard let text = try? PosixFile.read(data + "/PG_VERSION", bytesMax: 64) else { return nil }
        return Int(text.prefix { $0.isASCII && $0.isNumber })
    }

    static func otherVersion(_ version: Int, _ data: String, _ binaries: PostgresBinaries?) -> StartFailure {
        let there = binaries.map { "PostgreSQL \($0.version) is here" } ?? "it is not here"
        return StartFailure(
            .configuration,
            "The database in \(data) was made by PostgreSQL \(version), and \(there). Install version \(version) beside "
                + "it; or move the data: pg_upgrade, or pg_dump with version \(version) and an empty data directory.")
    }

    /// Lets the server's user have a folder of ours, and makes sure that it gets there.
    private func give(_ path: String) throws(StartFailure) {
        guard let user else { return }
        guard chown(path, user.number, user.group) == 0 else {
            throw StartFailure(.cannotCreate, "\(path): \(PosixFile.text(of: errno))")
        }
        var above = path
        while let slash = above.lastIndex(of: "/"), slash > above.startIndex {
            above = String(above[..<slash])
            guard !PosixFile.isSearchable(above, by: user) else { continue }
            throw StartFailure(
                .configuration,
                "PostgreSQL must not run as root and runs as \(user.name), who cannot enter \(above). Run martlet as an "
                    + "ordinary user, or set martlet.data.postgres_folder to a place that \(user.name) can reach.")
        }
    }

    /// The server that holds the cluster, by its lock file; nil when there is none, or another program has its number.
    var holder: pid_t? {
        guard let text = try? PosixFile.read(data + "/postmaster.pid", bytesMax: 4_096),
            let number = text.split(separator: "\n").first.flatMap({ pid_t($0) }), number > 1,
            let folder = PosixFile.linkTarget("/proc/\(number)/cwd"), folder == PosixFile.resolved(data)
        else { return nil }
        return number
    }

    /// Whether a server of this number says that it takes connections: the last line of its lock file (`pg_ctl` looks
    /// there too), which may also be an earlier one's.
    func isReady(_ number: pid_t) -> Bool {
        guard let text = try? PosixFile.read(data + "/postmaster.pid", bytesMax: 4_096) else { return false }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.count > 7 && pid_t(lines[0]) == number && lines[7].hasPrefix("ready")
    }
}

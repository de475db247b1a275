// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletDatabase
package import MartletServiceKit
import MartletSQL
import MartletWire

/// Which engine the application's tables are on (D24b).
package enum EngineChoice: Sendable, Equatable {
    case sqlite
    /// A server by its URL.
    case server(url: String)
    /// The private server.
    case managed

    /// What the setting says; nil for `auto`.
    package init?(setting: String) {
        switch setting {
        case "auto": return nil
        case "sqlite": self = .sqlite
        case "postgres": self = .managed
        default: self = .server(url: setting)
        }
    }

    /// What was decided for a data directory before; nil when nothing was.
    package static func recorded(in directory: DataDirectory) -> EngineChoice? {
        let word = try? PosixFile.read(directory.engineFile, bytesMax: 64)
        return word.flatMap { EngineChoice(recorded: String($0.prefix { !$0.isWhitespace })) }
    }

    private init?(recorded word: String) {
        switch word {
        case "sqlite": self = .sqlite
        case "postgres": self = .managed
        default: return nil
        }
    }

    /// Statements that a message shows.
    private static let shownMax = 5

    /// SQLite if it can run every migration, else the private server; what was decided before stands.
    ///
    /// - Throws: `StartFailure` when neither can run the project.
    static func decide(_ context: ServiceContext) async throws -> EngineChoice {
        if let earlier = recorded(in: context.dataDirectory) { return earlier }
        if ManagedCluster.version(of: ManagedCluster.folder(context.settings, context.dataDirectory) + "/cluster") != nil {
            return .managed
        }
        if await isInUse(context.dataDirectory.database(of: .data)) { return .sqlite }
        return try fresh(context)
    }

    /// Keeps the decision, once the project's migrations have run: until then the files may still change. One that a
    /// setting has made is kept too, for the day on which the setting goes.
    static func record(_ choice: EngineChoice, in directory: DataDirectory) throws(StartFailure) {
        guard recorded(in: directory) != choice else { return }
        do {
            try PosixFile.replace(directory.engineFile, with: choice == .sqlite ? "sqlite\n" : "postgres\n")
        } catch { throw StartFailure(.cannotCreate, "The data directory cannot be used: \(error)") }
    }

    /// Whether a file of SQLite holds more than what every start makes. One that cannot be read does.
    private static func isInUse(_ path: String) async -> Bool {
        guard PosixFile.exists(path) else { return false }
        guard let database = try? Database(DatabaseConfiguration(location: .sqlite(path: path), readers: 1)) else {
            return true
        }
        let isUsed = try? await database.read { session in
            // A first start that was cut short may have left an empty file.
            let isMade = try session.query("SELECT 1 FROM sqlite_master WHERE name = 'martlet_user_version'")
            return try !isMade.isEmpty
                && !session.query(
                    "SELECT 1 FROM martlet_migration UNION ALL SELECT 1 FROM martlet_user_version LIMIT 1"
                ).isEmpty
        }
        await database.close()
        return isUsed ?? true
    }

    private static func fresh(_ context: ServiceContext) throws(StartFailure) -> EngineChoice {
        let check = ProjectCheck(context.settings, withSeed: context.mode == .development)
        if let failure = check.failure {
            throw StartFailure(.configuration, "The project cannot be used: \(failure)")
        }
        if check.runsOnSQLite { return .sqlite }
        let refusals = check.refusals
        let shown = refusals.prefix(shownMax).map(\.description).joined(separator: "\n")
        let more = refusals.count > shownMax ? "\nand \(refusals.count - shownMax) more: martlet check" : ""
        guard PostgresBinaries.find(context.settings) != nil else {
            throw StartFailure(
                .configuration,
                "The project needs PostgreSQL, and its programs are not on this machine: install PostgreSQL "
                    + "\(PostgresBinaries.versionMin) or later (Debian: apt install postgresql), or set "
                    + "martlet.data.engine to the URL of a server. SQLite does not run:\n\(shown)\(more)")
        }
        context.logger.notice(
            "The project runs on PostgreSQL: SQLite does not run all of its statements.",
            metadata: ["sql.refusals": "\(refusals.count)", "error.detail": "\(shown)\(more)"])
        return .managed
    }
}

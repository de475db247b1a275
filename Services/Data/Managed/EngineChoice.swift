// SPDX-License-Identifier: Apache-2.0

import Logging
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

    /// Decides for good, at the first start: SQLite if it can run every migration, else the private server.
    ///
    /// - Throws: `StartFailure` when neither can run the project.
    static func decide(_ context: ServiceContext) throws(StartFailure) -> EngineChoice {
        let directory = context.dataDirectory
        if let earlier = recorded(in: directory) { return earlier }
        let choice: EngineChoice
        if PosixFile.exists(directory.database(of: .data)) {
            choice = .sqlite
        } else {
            choice = try fresh(context)
        }
        do {
            try PosixFile.replace(directory.engineFile, with: choice == .sqlite ? "sqlite\n" : "postgres\n")
        } catch { throw StartFailure(.cannotCreate, "The data directory cannot be used: \(error)") }
        return choice
    }

    private static func fresh(_ context: ServiceContext) throws(StartFailure) -> EngineChoice {
        let check = ProjectCheck(context.settings, withSeed: context.mode == .development)
        // What no engine runs is said by the migration itself.
        if check.runsOnSQLite || check.failure != nil { return .sqlite }
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

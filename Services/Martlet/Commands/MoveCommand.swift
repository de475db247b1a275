// SPDX-License-Identifier: Apache-2.0

internal import MartletData
internal import MartletServiceKit

/// `martlet move --to postgres`: a project that is on SQLite goes on on a private PostgreSQL.
struct MoveCommand: Sendable {
    let settings: Settings

    func run() async throws {
        let directory = try DataDirectory(path: DataDirectory.path(settings))
        let logger = ProcessLogger.make("martlet", settings: settings)
        let begin = ContinuousClock.now
        try await EngineMove(settings: settings, directory: directory, logger: logger).run { table in
            Console.print("\(String(table.rows).padded(to: 10))\(table.table)\n")
        }
        let seconds = Double((ContinuousClock.now - begin) / .milliseconds(10)).rounded() / 100
        Console.print(
            "The project is on a PostgreSQL of its own now, in \(directory.path)/postgres, after \(seconds) s. The file of "
                + "SQLite is kept as data.db.moved.\n")
    }
}

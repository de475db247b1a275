// SPDX-License-Identifier: Apache-2.0

internal import MartletData
internal import MartletServiceKit
internal import MartletSQL

/// `martlet check`: what of a project SQLite runs and what needs PostgreSQL, statement by statement, before anything runs.
struct CheckCommand {
    let settings: Settings

    /// Throws `StartFailure` with status `configuration` when the project cannot start on this machine.
    func run() throws(StartFailure) {
        let check = ProjectCheck(settings, withSeed: settings[\.process.mode] == .development)
        if let failure = check.failure { throw StartFailure(.configuration, "The project cannot be used: \(failure)") }
        for file in check.files { Console.print(Self.text(file)) }
        let refused = check.refusals.count
        let all = check.files.reduce(0) { $0 + $1.statements }
        Console.print("\(all - refused) of \(all) statements run on SQLite.\n")
        let broken = check.refusals.filter { $0.sqlState == Self.syntaxError }
        if let first = broken.first {
            throw StartFailure(.configuration, "\(first.file):\(first.line):\(first.column): no engine runs this: \(first.reason)")
        }
        switch EngineChoice(setting: settings[\.data.engine]) {
        case .sqlite? where refused > 0:
            throw StartFailure(
                .configuration, "martlet.data.engine is sqlite, and SQLite does not run \(Self.count(refused)).")
        case .sqlite?: Console.print("The project starts on SQLite.\n")
        case .server?: Console.print("The project starts on the server that martlet.data.engine names.\n")
        case nil where refused == 0: Console.print("The project starts on SQLite.\n")
        case nil, .managed?: try sayManaged(refused)
        }
    }

    private static let syntaxError = "42601"

    private func sayManaged(_ refused: Int) throws(StartFailure) {
        guard let place = PostgresPlace.find(settings) else {
            throw StartFailure(
                .configuration,
                "\(Self.count(refused)) need PostgreSQL, whose programs are not on this machine: install them (Debian: apt "
                    + "install postgresql), or set martlet.data.engine to the URL of a server.")
        }
        Console.print("The project starts on a PostgreSQL of its own: version \(place.version) in \(place.folder).\n")
    }

    private static func count(_ statements: Int) -> String { "\(statements) statement\(statements == 1 ? "" : "s")" }

    private static func text(_ file: ProjectCheck.File) -> String {
        var text = "\(file.name): \(count(file.statements))"
        text += file.refusals.isEmpty ? "\n" : ", \(file.refusals.count) not on SQLite\n"
        for refusal in file.refusals {
            text += "  \(refusal.line):\(refusal.column): \(refusal.reason)\n      \(refusal.statement)\n"
        }
        return text
    }
}

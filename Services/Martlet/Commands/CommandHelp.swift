// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// What `martlet help` prints.
enum CommandHelp {
    static func text(_ topic: Command.Topic?) -> String {
        let lines =
            switch topic {
            case nil: overview
            case .up: up + HelpText.flags(for: Suite.names)
            case .check: check
            case .move: move
            case .keys: keys
            case .status: status
            case .events: events
            case .jobs: jobs
            case .mails: mails
            }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let overview = [
        "Usage: martlet <command> [flags]", "",
        "  up            run the whole suite on a project, in one process or in five",
        "  check         say which engine a project's migrations need, statement by statement",
        "  move          take a project from SQLite to PostgreSQL",
        "  keys          show the project's keys, make them if there are none",
        "  keys rotate   replace them",
        "  status        say which services are ready",
        "  events        print the changes of rows, or keep them in a file",
        "  jobs          list, show, send again or cancel calls of functions that happen later",
        "  mails         list mails, send again what was given up",
        "  help [command]", "  --version", "",
        "The project is --project DIR, else ./supabase if it holds a config.toml, else the working directory.",
        "Exit status: 0, or 64 for wrong usage, 78 for a wrong configuration, 69 for what is taken or away,",
        "73 for a file that cannot be made, 75 for a data directory in use, 70 for a failure.",
    ]

    private static let up = [
        "Usage: martlet up [--processes] [flags]", "",
        "Runs the five services until SIGTERM or Ctrl-C; prints addresses and keys once all are ready.",
        "What people and programs stored is there again at the next start. Every key of docs/configuration.md is a flag.",
        "", "  --processes     five processes instead of one; one that dies is started again",
        "  --check-config  print the effective configuration and stop", "  --help, -h      print this",
    ]

    private static let check = [
        "Usage: martlet check [DIR] [--env development|production] [--data-engine ENGINE]", "",
        "Reads the migrations and, for development, the seed of a project, and runs nothing: what SQLite runs, what needs",
        "PostgreSQL and why, with file, line and column, and on which engine `martlet up` would start it here.",
        "Exit status 0 if it would start, else 78.",
    ]

    private static let move = [
        "Usage: martlet move --to postgres [--project DIR] [--data-dir DIR]", "",
        "Takes a project that is on SQLite to a private PostgreSQL, with everything that is stored, and compares each",
        "table. The suite must be stopped. If anything fails the project is on SQLite as before; the file of SQLite is",
        "kept as data.db.moved.",
    ]

    private static let keys = [
        "Usage: martlet keys [rotate] [--json] [--project DIR] [--data-dir DIR] [--env development|production]", "",
        "Prints the keys of the project, and makes those that are not there: the project's own and the services'.",
        "", "  rotate  replace all of them; the suite must be stopped, clients need the new ones",
        "  --json  one JSON object: anon, service_role, publishable, secret, jwt_secret (development), jwks",
    ]

    private static let status = [
        "Usage: martlet status [SERVICE...] [--project DIR] [--data-dir DIR]", "",
        "Asks each service that runs on the data directory, or those that are named, whether it is ready.",
        "Exit status 0 if all of them are, else 69.",
    ]

    private static let jobs = [
        "Usage: martlet jobs list [--state STATE] [--function NAME] [--limit N] [--project DIR] [--data-dir DIR]",
        "       martlet jobs show|retry|cancel ID", "",
        "Asks the suite that runs on the data directory; the newest jobs come first.", "",
        "  --state   queued, running, done, dead or cancelled", "  show      everything about one job, as JSON",
        "  retry     send a dead or cancelled job again, or a waiting one now",
        "  cancel    end a job; if it runs, its effect may have happened",
    ]

    private static let mails = [
        "Usage: martlet mails list [--state STATE] [--limit N] [--project DIR] [--data-dir DIR]",
        "       martlet mails retry ID", "",
        "Asks the suite that runs on the data directory; the newest mails come first.", "",
        "  --state   queued, sending, sent or dead",
        "  retry     try a mail that was given up again for a day, or a waiting one now",
    ]

    private static let events = [
        "Usage: martlet events [--into FILE] [--follow] [--project DIR] [--data-dir DIR]", "",
        "Prints the change log of a suite that runs in processes: a line of JSON per change, the oldest first.", "",
        "  --into FILE  append to FILE instead and go on where it ends: each change stands there once, also when this",
        "               process is killed; FILE.cursor says how far it has come",
        "  --follow     wait for more at the end",
    ]
}

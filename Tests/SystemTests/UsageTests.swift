// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite("The command line", .timeLimit(.minutes(1)))
struct UsageTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        let status: Int32
        let words: String
        var testDescription: String { "martlet " + arguments.joined(separator: " ") }
    }

    static let mistakes: [Mistake] = [
        Mistake(arguments: [], status: 64, words: "no command"),
        Mistake(arguments: ["fly"], status: 64, words: "fly: no such command"),
        Mistake(arguments: ["help", "fly"], status: 64, words: "fly: no such command"),
        Mistake(arguments: ["up", "--wings", "2"], status: 64, words: "up: --wings: no such flag"),
        Mistake(arguments: ["up", "--api-port"], status: 64, words: "--api-port: needs a value"),
        Mistake(arguments: ["status", "--processes"], status: 64, words: "--processes: no such flag"),
        Mistake(arguments: ["status", "kitchen"], status: 64, words: "status: kitchen: no such service"),
        Mistake(arguments: ["status", "data"], status: 69, words: "not ready: data"),
        Mistake(arguments: ["keys", "--check-config"], status: 64, words: "--check-config: no such flag"),
        Mistake(arguments: ["up", "--api-port", "many"], status: 78, words: "api.port (--api-port)"),
        Mistake(arguments: ["up", "--project", "/nowhere"], status: 78, words: "martlet.project"),
        Mistake(arguments: ["events", "--into"], status: 64, words: "events: --into: needs a value"),
        Mistake(arguments: ["jobs"], status: 64, words: "jobs: expected list, show, retry or cancel"),
        Mistake(arguments: ["jobs", "burn"], status: 64, words: "jobs: burn: no such word"),
        Mistake(arguments: ["jobs", "show"], status: 64, words: "jobs: show: expected the id of a job"),
        Mistake(arguments: ["jobs", "retry", "../keys"], status: 64, words: "jobs: ../keys: no id of a job"),
        Mistake(arguments: ["jobs", "list", "--state"], status: 64, words: "jobs: --state: needs a value"),
        Mistake(arguments: ["jobs", "list"], status: 69, words: "no suite runs on"),
        Mistake(arguments: ["status"], status: 69, words: "not ready: auth, data, logic, notification, edge"),
    ]

    @Test("A mistake is named and has its exit status", arguments: mistakes)
    func mistake(_ mistake: Mistake) async throws {
        let (status, _, complaints) = try await Program.run(mistake.arguments)
        #expect(status == mistake.status)
        #expect(complaints.hasPrefix("martlet: "))
        #expect(complaints.contains(mistake.words), "\(complaints)")
    }

    @Test(
        "Help and version are answers, not mistakes",
        arguments: [
            (["help"], "keys rotate"), (["--help"], "Usage: martlet <command>"), (["up", "--help"], "--api-port"),
            (["help", "keys"], "--json"), (["status", "-h"], "Exit status 0"), (["events", "-h"], "--into FILE"),
            (["jobs", "--help"], "martlet jobs show|retry|cancel ID"),
            (["mails", "--help"], "martlet mails retry ID"), (["--version"], "martlet 0."),
        ])
    func help(arguments: [String], words: String) async throws {
        let (status, printed, complaints) = try await Program.run(arguments)
        #expect(status == 0)
        #expect(printed.contains(words), "\(printed)")
        #expect(complaints.isEmpty)
    }

    @Test("--check-config prints the effective configuration, with the mode of martlet up, and starts nothing")
    func checkConfiguration() async throws {
        let (status, printed, _) = try await Program.run(["up", "--check-config", "--api-port=8123"])
        #expect(status == 0)
        #expect(printed.contains("api.port = 8123  # --api-port"), "\(printed)")
        #expect(printed.contains("martlet.env = \"development\"  # default"), "\(printed)")
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit
import MartletWire
import Testing

@Suite("Settings")
struct SettingsTests {
    @Test("A secret can stand in a file of its own, other keys cannot, and the variable itself wins")
    func secretFiles() throws {
        let folder = try Folder()
        try folder.write("engine", "postgres://martlet@db/martlet\n")
        let path = folder.path + "/engine"
        let settings = try resolve(environment: ["MARTLET_DATA_ENGINE_FILE": path])
        #expect(settings[\.data.engine] == "postgres://martlet@db/martlet")
        #expect(settings.unusedVariables.isEmpty)
        #expect(settings.report.contains("MARTLET_DATA_ENGINE_FILE"))
        #expect(!settings.report.contains("postgres://"))
        let both = ["MARTLET_DATA_ENGINE_FILE": path, "MARTLET_DATA_ENGINE": "sqlite"]
        #expect(try resolve(environment: both)[\.data.engine] == "sqlite")
        #expect(try resolve(environment: ["MARTLET_DATA_READERS_FILE": path]).unusedVariables.count == 1)
        let fault = #expect(throws: SettingsError.self) {
            try resolve(environment: ["MARTLET_DATA_ENGINE_FILE": path + "-away"])
        }
        #expect(fault?.problems.first?.contains("martlet.data.engine (MARTLET_DATA_ENGINE_FILE)") == true)
    }

    @Test("A flag wins over the environment, that over the file, that over the default")
    func order() throws {
        let file = "[martlet.data]\nreaders = 3\n"
        let variable = ["MARTLET_DATA_READERS": "4"]
        #expect(try resolve()[\.data.readers] == 2)
        #expect(try resolve(file)[\.data.readers] == 3)
        #expect(try resolve(file, environment: variable)[\.data.readers] == 4)
        let all = try resolve(file, flags: ["--data-readers=5"], environment: variable)
        #expect(all[\.data.readers] == 5)
        #expect(all.origin(of: SettingsTable.shared.data.readers) == .flag("--data-readers"))
    }

    /// A file that must not start a service, and what its one problem begins with.
    struct BadFile: Sendable, CustomTestStringConvertible {
        let text: String
        let problem: String
        var testDescription: String { text.split(separator: "\n").joined(separator: " ⏎ ") }

        init(_ text: String, _ problem: String) {
            self.text = text
            self.problem = problem
        }
    }

    static let badFiles = [
        BadFile("[martlet.data]\nreaders = \"many\"", "martlet.data.readers (config.toml:2): expected an integer"),
        BadFile("[martlet.data]\nreaders = 0", "martlet.data.readers (config.toml:2): expected 1 to 64, not 0"),
        BadFile("[martlet.data]\nreeders = 2", "martlet.data.reeders (config.toml:2): no such key"),
        BadFile("[martlet.dada]\n", "martlet.dada (config.toml:1): no such section"),
        BadFile("martlet = 3", "martlet (config.toml:1): no such key"),
        BadFile("[api]\nport = 70000", "api.port (config.toml:2): expected 0 to 65535, not 70000"),
        BadFile("[martlet.data]\nengine = \"mysql\"", "martlet.data.engine (config.toml:2): expected auto, sqlite, postgres or a URL"),
        BadFile("[martlet]\ndrain_timeout = 25", "martlet.drain_timeout (config.toml:2): expected a duration"),
        BadFile("[martlet]\nlog_level = \"loud\"", "martlet.log_level (config.toml:2): expected one of trace, debug"),
        BadFile("[martlet]\nbus_address = \"localhost\"", "martlet.bus_address (config.toml:2): expected an IPv4"),
        BadFile("[martlet]\nenv = \"production\"", "martlet.env (config.toml:2): no such key"),
        BadFile("[auth]\nenable_signup = \"yes\"", "auth.enable_signup (config.toml:2): expected true or false"),
        BadFile("[auth]\njwt_secret = \"short\"", "auth.jwt_secret (config.toml:2): expected 32 bytes or more"),
        BadFile("[auth]\njwt_secret = \"env(NOT_SET_ANYWHERE)\"", "auth.jwt_secret (config.toml:2): the environment"),
        BadFile("[auth.jwt_expiry]\nx = 1", "auth.jwt_expiry (config.toml:1): expected a value, not a table"),
        BadFile(
            "[martlet.edge]\ntrusted_proxies = [\"10.0.0.0/99\"]",
            "martlet.edge.trusted_proxies (config.toml:2): 10.0.0.0/99 is no network"),
        BadFile(
            "[martlet.data]\nendpoints = [\"http://x\"]",
            "martlet.data.endpoints (config.toml:2): http://x is no endpoint"),
        BadFile(
            "[martlet.data]\nadmin_port = 7120",
            "martlet.data.admin_port: port 7120 is that of martlet.data.request_port"),
    ]

    @Test("A wrong file is refused with a message that names the key", arguments: badFiles)
    func refused(file: BadFile) throws {
        let error = try #require(throws: SettingsError.self) { try resolve(file.text) }
        #expect(error.problems.count == 1)
        #expect(error.problems[0].hasPrefix(file.problem), "\(error.problems)")
    }

    @Test("Every problem is reported at once")
    func collected() throws {
        let error = try #require(throws: SettingsError.self) {
            try resolve("[api]\nport = -1\n[martlet.x]\ny = 1", environment: ["MARTLET_DATA_READERS": "x"])
        }
        #expect(error.problems.count == 3)
        #expect(error.problems.contains { $0.hasPrefix("martlet.data.readers (MARTLET_DATA_READERS)") })
    }

    @Test("A broken file names its line")
    func broken() throws {
        let error = try #require(throws: SettingsError.self) { try resolve("[api]\nport = = 1") }
        #expect(error.problems.first?.contains("config.toml, line 2:") == true)
    }

    @Test("Keys of a Supabase project that nothing reads are tolerated and named")
    func tolerated() throws {
        let settings = try resolve("project_id = \"x\"\n[storage]\nfile_size_limit = \"50MiB\"\n[studio]\nport = 54323")
        #expect(settings.unusedKeys == ["storage.file_size_limit", "studio.port"])
    }

    @Test("env(NAME) in the file reads the environment")
    func substitution() throws {
        let secret = String(repeating: "s", count: 32)
        let settings = try resolve("[auth]\njwt_secret = \"env(MY_SECRET)\"", environment: ["MY_SECRET": secret])
        #expect(settings[\.auth.jwtSecret] == secret)
        #expect(!settings.report.contains(secret))
        #expect(settings.report.contains("auth.jwt_secret = \"(hidden)\"  # config.toml:2"))
    }

    @Test("An unknown variable of ours is named, not refused")
    func unknownVariable() throws {
        #expect(try resolve(environment: ["MARTLET_DATTA": "1"]).unusedVariables == ["MARTLET_DATTA"])
    }

    @Test("Production requires auth's site_url; development does not")
    func siteURL() throws {
        let error = try #require(throws: SettingsError.self) { try resolve(services: [.auth]) }
        #expect(
            error.problems == ["auth.site_url: required in production", "auth.external_url: required in production"])
        let settings = try resolve(environment: ["MARTLET_ENV": "development"], services: [.auth])
        #expect(settings[\.process.mode] == .development)
    }

    @Test(
        "Production whose addresses must be confirmed needs a server for the mails",
        arguments: [(true, "production", false), (true, "development", true), (false, "production", true)])
    func confirmations(asked: Bool, mode: String, isFine: Bool) throws {
        let text = "[auth.email]\nenable_confirmations = \(asked)"
        let environment = ["MARTLET_ENV": mode]
        if isFine {
            _ = try resolve(text, environment: environment, services: [.notification])
        } else {
            let error = try #require(throws: SettingsError.self) {
                try resolve(text, environment: environment, services: [.notification])
            }
            #expect(
                error.problems == [
                    "martlet.notification.smtp_host: required in production with auth.email.enable_confirmations, "
                        + "since nobody could confirm an address"
                ])
        }
        let mail = ["MARTLET_NOTIFICATION_SMTP_HOST": "mail.test", "MARTLET_NOTIFICATION_SMTP_FROM": "a@mail.test"]
        _ = try resolve(text, environment: environment.merging(mail) { $1 }, services: [.notification])
    }

    @Test("A relative data directory in the file begins at the project folder")
    func dataDirectory() throws {
        let settings = try resolve("[martlet]\ndata_dir = \"state\"")
        #expect(DataDirectory.path(settings) == settings.project.path + "/state")
        #expect(DataDirectory.path(try resolve(environment: ["MARTLET_DATA_DIR": "/x/y"])) == "/x/y")
        let standard = try resolve()
        #expect(DataDirectory.path(standard) == standard.project.path + "/.martlet")
    }

    @Test(
        "Durations are read and written as Go writes them",
        arguments: zip(
            ["0", "250ms", "1h30m", "1.5s", "90s"],
            [Duration.zero, .milliseconds(250), .seconds(5_400), .milliseconds(1_500), .seconds(90)]))
    func durations(text: String, duration: Duration) {
        #expect(DurationText.parse(text) == duration)
        #expect(DurationText.parse(DurationText.text(duration)) == duration)
    }

    @Test("What is no duration is refused", arguments: ["", "5", "-1s", "1x", "s", "1.2.3s", "99999999999h"])
    func noDurations(text: String) { #expect(DurationText.parse(text) == nil) }

    @Test("Wrong flags are mistakes of usage", arguments: [["--nope"], ["--data-readers"], ["--env=a", "--env=b"]])
    func flags(arguments: [String]) {
        #expect(throws: CommandLineFlags.UsageError.self) { try CommandLineFlags(arguments) }
    }

    @Test("Names of flags, variables and keys are unique")
    func unique() {
        let all = SettingsTable.shared.all
        #expect(Set(all.map(\.path)).count == all.count)
        #expect(Set(all.map(\.flag)).count == all.count)
        #expect(Set(all.flatMap(\.environmentNames)).count == all.flatMap(\.environmentNames).count)
        for declaration in all { #expect(!declaration.summary.isEmpty, "\(declaration.path)") }
    }

    @Test("Every default passes its own check")
    func defaults() throws {
        for declaration in SettingsTable.shared.all where !declaration.fallbackText.isEmpty {
            let document = try TOMLDocument(parsing: "x = \(declaration.fallbackText)")
            let value = try #require(document["x"]?.value)
            #expect(throws: Never.self, "\(declaration.path)") { try declaration.resolve(.toml(value)) }
        }
    }
}

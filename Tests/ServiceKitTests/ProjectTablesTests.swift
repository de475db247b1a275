// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit
import Testing

@Suite("Named tables of config.toml")
struct ProjectTablesTests {
    @Test("Functions come from both their tables")
    func functions() throws {
        let settings = try resolve(
            """
            [functions.hello]
            verify_jwt = false
            static_files = ["a"]
            [martlet.functions.hello]
            command = ["python3", "main.py"]
            idle_timeout = "3s"
            env = { GREETING = "env(WORD)" }
            [functions.plain]
            import_map = "./import_map.json"
            [martlet.functions.up]
            kind = "http"
            url = "http://127.0.0.1:9000/up"
            """, environment: ["WORD": "hi"])
        let functions = settings.tables.functions
        #expect(functions.map(\.name) == ["hello", "plain", "up"])
        #expect(functions[0].kind == .process(command: ["python3", "main.py"]))
        #expect(!functions[0].verifiesJWT)
        #expect(functions[0].idleTimeout == .seconds(3))
        #expect(functions[0].environment == ["GREETING": "hi"])
        let root = settings.project.path
        #expect(
            functions[1].kind
                == .deno(entryPoint: "\(root)/functions/plain/index.ts", importMap: "\(root)/import_map.json"))
        #expect(functions[2].kind == .http(url: "http://127.0.0.1:9000/up"))
        #expect(functions[2].verifiesJWT)
        #expect(settings.unusedKeys == ["functions.hello.static_files"])
    }

    @Test("Rules, triggers and schedules have their defaults")
    func callers() throws {
        let tables = try resolve(
            """
            [martlet.functions.f]
            url = "http://127.0.0.1:9000"
            [martlet.rules.place]
            table = "orders"
            on = ["update", "insert"]
            function = "f"
            [martlet.rules.place.reads]
            lines = "lines?id=eq.{id}"
            [martlet.triggers.mail]
            table = "shop.orders"
            on = ["delete"]
            function = "f"
            payload = "martlet"
            [martlet.schedules.nightly]
            cron = "0 3 * * *"
            function = "f"
            """
        ).tables
        let rule = try #require(tables.rules.first)
        #expect(rule.table == TableName(schema: "public", name: "orders"))
        #expect(rule.events == [.insert, .update])
        #expect(rule.deadline == .seconds(1))
        #expect(rule.onError == .reject)
        #expect(rule.reads.map { [$0.name, $0.query] } == [["lines", "lines?id=eq.{id}"]])
        let trigger = try #require(tables.triggers.first)
        #expect(trigger.table == TableName(schema: "shop", name: "orders"))
        #expect(trigger.attemptsMax == 6)
        #expect(trigger.payload == .martlet)
        let schedule = try #require(tables.schedules.first)
        #expect(schedule.timeZone == "UTC")
        #expect(schedule.body == "{}")
        #expect(schedule.missed == .once)
        #expect(schedule.place.problem("cron", "no") == "martlet.schedules.nightly.cron (config.toml:15): no")
    }

    static let wrong: [(text: String, problem: String)] = [
        (
            "[martlet.functions.f]\nurl = \"http://x\"\nspeed = 1",
            "martlet.functions.f.speed (config.toml:3): no such key"
        ),
        (
            "[martlet.functions.f]\nkind = \"process\"",
            "martlet.functions.f.command (config.toml:1): required"
        ),
        (
            "[martlet.functions.f]\nurl = \"https://x\"",
            "martlet.functions.f.url (config.toml:2): expected a URL that begins with http://"
        ),
        (
            "[martlet.functions.\"a b\"]\nurl = \"http://x\"",
            "martlet.functions.a b (config.toml:1): a function's name has 1 to 64 letters, digits, - and _, and does not begin with _"
        ),
        (
            "[functions.f]\nverify_jwt = 1",
            "functions.f.verify_jwt (config.toml:2): expected true or false"
        ),
        (
            "[martlet.rules.r]\ntable = \"t\"\non = [\"insert\"]\nfunction = \"none\"",
            "martlet.rules.r.function (config.toml:4): there is no function none"
        ),
        (
            "[functions.f]\nenabled = false\n[martlet.rules.r]\ntable = \"t\"\non = [\"insert\"]\nfunction = \"f\"",
            "martlet.rules.r.function (config.toml:6): there is no function f"
        ),
        (
            "[functions.f]\n[martlet.triggers.r]\ntable = \"t\"\non = [\"select\"]\nfunction = \"f\"",
            "martlet.triggers.r.on (config.toml:4): expected a list of insert, update, delete"
        ),
        (
            "[functions.f]\n[martlet.schedules.s]\nfunction = \"f\"",
            "martlet.schedules.s.cron (config.toml:2): required"
        ),
        ("[martlet]\nrules = 1", "martlet.rules (config.toml:2): expected tables"),
        ("[martlet.rules]\nr = 1", "martlet.rules.r (config.toml:2): expected a table"),
    ]

    @Test("What is wrong is named with its key and line", arguments: wrong)
    func refused(text: String, problem: String) {
        let error = #expect(throws: SettingsError.self) { try resolve(text) }
        #expect(error?.problems == [problem])
    }

    @Test("A folder with an index file is a function, one that begins with _ is none")
    func folders() throws {
        let folder = try Folder()
        let project = ProjectFolder(path: folder.path)
        for name in ["a", "_shared", "empty"] { try PosixFile.makeFolder("\(project.functions)/\(name)", mode: 0o755) }
        try folder.write("functions/a/index.ts", "")
        try folder.write("functions/_shared/index.ts", "")
        #expect(
            FunctionEntry.found("a", in: project)?.kind
                == .deno(entryPoint: "\(project.functions)/a/index.ts", importMap: nil))
        for name in ["_shared", "empty", "none", "../a"] { #expect(FunctionEntry.found(name, in: project) == nil) }
    }
}

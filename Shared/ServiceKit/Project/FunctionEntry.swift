// SPDX-License-Identifier: Apache-2.0

/// A function of the project, as `[functions.NAME]` and `[martlet.functions.NAME]` say; a folder alone makes one too.
package struct FunctionEntry: Sendable, Equatable {
    /// Who answers (D36).
    package enum Kind: Sendable, Equatable {
        /// A file of the project for Deno, and the import map; paths from the root on.
        case deno(entryPoint: String, importMap: String?)
        /// A program that serves HTTP/1.1 on the socket named in `MARTLET_FUNCTION_SOCKET`.
        case process(command: [String])
        /// An upstream, `http://host:port/path`.
        case http(url: String)
    }

    package let name: String
    package let kind: Kind
    package let isEnabled: Bool
    package let verifiesJWT: Bool
    /// Whether clients may call it; else only rules, triggers, schedules and jobs do.
    package let isPublic: Bool
    /// How long the head of the answer may take.
    package let idleTimeout: Duration
    /// How long the whole answer may take.
    package let totalTimeout: Duration
    /// Requests at once.
    package let concurrency: Int
    /// Requests that wait beyond those.
    package let queueMax: Int
    package let memoryMebibytes: Int
    /// Processor time that each request in hand may take.
    package let cpuTime: Duration
    /// Processes of a `process` function; sixteen times as many threads.
    package let processesMax: Int
    package let environment: [String: String]
    /// Nil for one that only its folder makes.
    package let place: TablePlace?

    static let totalTimeoutMax = Duration.seconds(400)

    /// 1 to 64 letters, digits, `_` and `-`. Folders that begin with `_` are for what functions share, and `_admin` is ours.
    package static func isName(_ name: some StringProtocol) -> Bool {
        (1...64).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: "_")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// The function that a folder of `functions/` makes by itself; nil if there is none.
    package static func found(_ name: String, in project: ProjectFolder) -> FunctionEntry? {
        guard isName(name), let file = entryPoint(name, in: project) else { return nil }
        var reader = TableReader(
            name: name, place: TablePlace(path: "functions.\(name)", lines: [:]), values: [:], environment: [:])
        return FunctionEntry(
            &reader, isPlaced: false, kind: .deno(entryPoint: file, importMap: nil), isEnabled: true,
            verifiesJWT: true)
    }

    private static func entryPoint(_ name: String, in project: ProjectFolder) -> String? {
        ["index.ts", "index.js"].lazy.map { "\(project.functions)/\(name)/\($0)" }.first(where: PosixFile.exists)
    }

    private enum KindWord: String, SettingWord { case deno, process, http }

    /// `own` are Supabase's keys of the function, `ours` those below `martlet`; either may be empty.
    init(own: inout TableReader, ours: inout TableReader, project: ProjectFolder) {
        let name = own.name
        let isEnabled = own.take("enabled", true)
        let verifiesJWT = own.take("verify_jwt", true)
        let entryPoint = own.take("entrypoint", String?.none)
        let importMap = own.take("import_map", String?.none)
        let word = ours.take("kind", ours.has("command") ? .process : ours.has("url") ? .http : KindWord.deno)
        let kind: Kind
        switch word {
        case .deno:
            kind = .deno(
                entryPoint: entryPoint.map { PosixFile.absolute($0, from: project.path) }
                    ?? Self.entryPoint(name, in: project) ?? "\(project.functions)/\(name)/index.ts",
                importMap: importMap.map { PosixFile.absolute($0, from: project.path) })
        case .process:
            kind = .process(
                command: ours.require("command", []) { $0.first?.isEmpty == false ? nil : "expected a program" })
        case .http:
            kind = .http(
                url: ours.require("url", "") {
                    $0.hasPrefix("http://") ? nil : "expected a URL that begins with http://"
                })
        }
        if !Self.isName(name) {
            ours.complain("", "a function's name has 1 to 64 letters, digits, - and _, and does not begin with _")
        }
        self.init(&ours, isPlaced: true, kind: kind, isEnabled: isEnabled, verifiesJWT: verifiesJWT)
        ours.refuseRest()
    }

    private init(_ ours: inout TableReader, isPlaced: Bool, kind: Kind, isEnabled: Bool, verifiesJWT: Bool) {
        name = ours.name
        self.kind = kind
        self.isEnabled = isEnabled
        self.verifiesJWT = verifiesJWT
        isPublic = ours.take("public", true)
        idleTimeout = ours.take("idle_timeout", .seconds(150), in: .milliseconds(10)...Self.totalTimeoutMax)
        totalTimeout = ours.take("timeout", Self.totalTimeoutMax, in: .milliseconds(10)...Self.totalTimeoutMax)
        concurrency = ours.take("concurrency", 100, in: 1...10_000)
        queueMax = ours.take("queue", 1_000, in: 0...100_000)
        memoryMebibytes = ours.take("memory_mebibytes", 256, in: 16...65_536)
        cpuTime = ours.take("cpu_time", .seconds(2), in: .milliseconds(100)...Self.totalTimeoutMax)
        processesMax = ours.take("processes", 64, in: 1...65_536)
        environment = ours.takeTexts("env")
        place = isPlaced ? ours.place : nil
    }
}

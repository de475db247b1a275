// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// Finds the value of every key: flag, else environment, else file, else default (D3). Collects every problem before
/// it gives up, so that a person repairs a configuration in one round.
package struct SettingsResolver: Sendable {
    private let flags: CommandLineFlags
    private let environment: [String: String]
    private let modeFallback: DeploymentMode

    /// `modeFallback` is what holds when nobody names a mode: production for a service, development for `martlet up`.
    package init(
        flags: CommandLineFlags, environment: [String: String], modeFallback: DeploymentMode = .production
    ) {
        self.flags = flags
        self.environment = environment
        self.modeFallback = modeFallback
    }

    /// The settings for the services that this process runs: what is required is required of them.
    package func resolve(for services: [ServiceName]) throws(SettingsError) -> Settings {
        let table = SettingsTable.shared
        var problems: [String] = []
        let named = flags.values[table.process.project.path] ?? environment["MARTLET_PROJECT"]
        if let named, !PosixFile.isFolder(named) {
            throw SettingsError(problems: ["martlet.project: there is no folder \(named)"])
        }
        let project = named.map(ProjectFolder.init(path:)) ?? ProjectFolder.found()
        let document = try read(project)
        var entries: [String: Settings.Entry] = [:]
        for declaration in table.all {
            do throws(SettingFault) {
                entries[declaration.path] = try entry(declaration, document: document)
            } catch {
                problems.append("\(declaration.path)\(place(of: declaration, in: document)): \(error.reason)")
            }
        }
        let known = Set(table.all.filter(\.isInFile).map(\.path))
        let unknown = document.entries.filter { !known.contains($0.path) && !ProjectTables.owns($0.path) }
        for entry in unknown where Self.isOurs(entry.path) {
            problems.append("\(entry.path) (config.toml:\(entry.line)): no such key")
        }
        let sections = Set(known.flatMap(Self.sections))
        for (path, line) in document.tables.sorted(by: { $0.value < $1.value })
        where Self.isOurs(path) && !sections.contains(path) && !known.contains(path) && !ProjectTables.owns(path) {
            guard !unknown.contains(where: { $0.path.hasPrefix(path + ".") }) else { continue }
            problems.append("\(path) (config.toml:\(line)): no such section")
        }
        let files = table.all.filter(\.isSecret).flatMap(\.environmentNames).map { $0 + Self.fileSuffix }
        let variables = Set(table.all.flatMap(\.environmentNames) + files)
        var unused: [String] = []
        let tables = ProjectTables(
            document, project: project, environment: environment, problems: &problems, unused: &unused)
        let settings = Settings(
            entries: entries, project: project, tables: tables,
            unusedKeys: unknown.map(\.path).filter { !Self.isOurs($0) && $0 != "project_id" } + unused,
            unusedVariables: environment.keys.filter { $0.hasPrefix("MARTLET_") && !variables.contains($0) }.sorted())
        if problems.isEmpty { problems = Self.contradictions(in: settings, for: services) }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        return settings
    }

    private static func isOurs(_ path: String) -> Bool { path == "martlet" || path.hasPrefix("martlet.") }

    /// `a.b.c` stands in the sections `a` and `a.b`.
    private static func sections(of path: String) -> [String] {
        let parts = path.split(separator: ".")
        return (1..<max(parts.count, 1)).map { parts[..<$0].joined(separator: ".") }
    }

    private func read(_ project: ProjectFolder) throws(SettingsError) -> TOMLDocument {
        do {
            guard let text = try PosixFile.read(project.configFile, bytesMax: 1_048_576) else {
                return try TOMLDocument(parsing: "")
            }
            return try TOMLDocument(parsing: text)
        } catch let error as TOMLError {
            throw SettingsError(problems: ["\(project.configFile), line \(error.line): \(error.reason)"])
        } catch {
            throw SettingsError(problems: ["\(error)"])
        }
    }

    private func entry(
        _ declaration: any SettingDeclaration, document: TOMLDocument
    ) throws(SettingFault) -> Settings.Entry {
        if let text = flags.values[declaration.path] {
            return Settings.Entry(resolved: try declaration.resolve(.text(text)), origin: .flag(declaration.flag))
        }
        for name in declaration.environmentNames {
            guard let text = environment[name] else { continue }
            // OpenTelemetry's specification: an empty variable is one that is not set.
            if text.isEmpty, declaration.standardNames.contains(name) { continue }
            return Settings.Entry(resolved: try declaration.resolve(.text(text)), origin: .environment(name))
        }
        if declaration.isSecret, let (name, text) = try secretFile(declaration) {
            return Settings.Entry(resolved: try declaration.resolve(.text(text)), origin: .environment(name))
        }
        if declaration.isInFile, let entry = document[declaration.path] {
            let resolved = try declaration.resolve(try substituted(entry.value))
            return Settings.Entry(resolved: resolved, origin: .file(line: entry.line))
        }
        if declaration.isInFile, document.tables[declaration.path] != nil {
            throw SettingFault("expected a value, not a table")
        }
        if declaration.path == SettingsTable.shared.process.mode.path {
            return Settings.Entry(resolved: ResolvedValue(value: modeFallback), origin: .standard)
        }
        return Settings.Entry(resolved: try declaration.resolve(nil), origin: .standard)
    }

    /// The content of the file that `MARTLET_…_FILE` names, without the line's end: how containers are given secrets.
    private func secretFile(
        _ declaration: any SettingDeclaration
    ) throws(SettingFault) -> (variable: String, text: String)? {
        for name in declaration.environmentNames.map({ $0 + Self.fileSuffix }) {
            guard let path = environment[name] else { continue }
            let text: String?
            do { text = try PosixFile.read(path, bytesMax: Self.secretBytesMax) } catch {
                throw SettingFault("\(name): \(error)")
            }
            guard let text else { throw SettingFault("\(name): there is no file \(path)") }
            return (name, String(text.prefix { !$0.isNewline }))
        }
        return nil
    }

    private static let fileSuffix = "_FILE"
    /// Longest secret in a file of its own, in bytes: a URL or a token, with room.
    private static let secretBytesMax = 64 << 10

    /// `env(NAME)` as a whole string reads the environment.
    private func substituted(_ value: TOMLValue) throws(SettingFault) -> SettingInput {
        guard case .string(let text) = value, text.hasPrefix("env("), text.hasSuffix(")") else { return .toml(value) }
        let name = String(text.dropFirst(4).dropLast())
        guard let found = environment[name] else { throw SettingFault("the environment variable \(name) is not set") }
        return .text(found)
    }

    private func place(of declaration: any SettingDeclaration, in document: TOMLDocument) -> String {
        if flags.values[declaration.path] != nil { return " (\(declaration.flag))" }
        let files = declaration.isSecret ? declaration.environmentNames.map { $0 + Self.fileSuffix } : []
        if let name = (declaration.environmentNames + files).first(where: { environment[$0] != nil }) {
            return " (\(name))"
        }
        let line = document[declaration.path]?.line ?? document.tables[declaration.path]
        return line.map { " (config.toml:\($0))" } ?? ""
    }

    /// Rules over several keys.
    private static func contradictions(in settings: Settings, for services: [ServiceName]) -> [String] {
        var problems: [String] = []
        if services.contains(.auth), settings[\.process.mode] == .production {
            if settings[\.auth.siteURL] == nil { problems.append("auth.site_url: required in production") }
            if settings[\.auth.externalURL] == nil { problems.append("auth.external_url: required in production") }
        }
        if services.contains(.notification), settings[\.mail.host] != nil, settings[\.mail.from] == nil {
            problems.append("martlet.notification.smtp_from: required with martlet.notification.smtp_host")
        }
        // Asked of who would send them: the host may be set for that process alone.
        if services.contains(.notification), settings[\.process.mode] == .production,
            settings[\.auth.emailNeedsConfirmation], settings[\.mail.host] == nil
        {
            problems.append(
                "martlet.notification.smtp_host: required in production with auth.email.enable_confirmations, "
                    + "since nobody could confirm an address")
        }
        let table = SettingsTable.shared
        var takenBy: [Int: String] = [:]
        var ports: [Setting<Int>] = services.contains(.edge) ? [table.edge.port] : []
        for service in services {
            if settings[\.bus.transport] == .tcp {
                ports += [table.bus.requestPort(of: service), table.bus.eventPort(of: service)].compactMap(\.self)
            }
            ports += [table.admin.port(of: service)].compactMap(\.self)
        }
        for setting in ports where settings[setting] != 0 {
            if let other = takenBy.updateValue(setting.path, forKey: settings[setting]) {
                problems.append("\(setting.path): port \(settings[setting]) is that of \(other) too")
            }
        }
        return problems
    }
}

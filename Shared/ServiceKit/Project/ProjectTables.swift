// SPDX-License-Identifier: Apache-2.0

/// The named tables of config.toml: functions, and what calls them. Each list is ordered by name.
package struct ProjectTables: Sendable, Equatable {
    package var functions: [FunctionEntry] = []
    package var rules: [RuleEntry] = []
    package var triggers: [TriggerEntry] = []
    package var schedules: [ScheduleEntry] = []

    package init() {}

    /// Whether the table reads this path of config.toml, rather than a setting.
    static func owns(_ path: String) -> Bool {
        let parts = path.split(separator: ".")
        if parts.first == "functions" { return parts.count >= 2 }
        return parts.count >= 2 && parts[0] == "martlet" && kinds.contains(String(parts[1]))
    }

    /// The function of this name: an entry, or a folder of the project.
    package func function(_ name: String, in project: ProjectFolder) -> FunctionEntry? {
        functions.first { $0.name == name } ?? FunctionEntry.found(name, in: project)
    }

    private static let kinds: Set<String> = ["functions", "rules", "triggers", "schedules"]

    /// Reads all of them. What is wrong goes to `problems`, Supabase's keys that have no effect to `unused`.
    init(
        _ document: TOMLDocument, project: ProjectFolder, environment: [String: String], problems: inout [String],
        unused: inout [String]
    ) {
        for kind in Self.kinds.sorted() {
            guard let entry = document["martlet.\(kind)"] else { continue }
            problems.append("\(entry.path) (config.toml:\(entry.line)): expected tables")
        }
        var own = Self.readers(below: "functions", document, environment, &problems)
        var ours = Self.readers(below: "martlet.functions", document, environment, &problems)
        for name in Set(own.keys).union(ours.keys).sorted() {
            var ownReader = own.removeValue(forKey: name) ?? Self.empty(name, below: "functions")
            var ourReader = ours.removeValue(forKey: name) ?? Self.empty(name, below: "martlet.functions")
            functions.append(FunctionEntry(own: &ownReader, ours: &ourReader, project: project))
            unused += ownReader.dropRest()
            problems += ownReader.problems + ourReader.problems
        }
        rules = Self.entries(below: "martlet.rules", document, environment, &problems, RuleEntry.init)
        triggers = Self.entries(below: "martlet.triggers", document, environment, &problems, TriggerEntry.init)
        schedules = Self.entries(below: "martlet.schedules", document, environment, &problems, ScheduleEntry.init)
        let calls =
            rules.map { ($0.function, $0.place) } + triggers.map { ($0.function, $0.place) }
            + schedules.map { ($0.function, $0.place) }
        for (name, place) in calls where !name.isEmpty && function(name, in: project)?.isEnabled != true {
            problems.append(place.problem("function", "there is no function \(name)"))
        }
    }

    private static func entries<Entry>(
        below path: String, _ document: TOMLDocument, _ environment: [String: String], _ problems: inout [String],
        _ make: (inout TableReader) -> Entry
    ) -> [Entry] {
        readers(below: path, document, environment, &problems).sorted { $0.key < $1.key }.map { _, reader in
            var reader = reader
            let entry = make(&reader)
            problems += reader.problems
            return entry
        }
    }

    private static func empty(_ name: String, below path: String) -> TableReader {
        TableReader(name: name, place: TablePlace(path: "\(path).\(name)", lines: [:]), values: [:], environment: [:])
    }

    /// The tables `path.NAME`, by name.
    private static func readers(
        below path: String, _ document: TOMLDocument, _ environment: [String: String], _ problems: inout [String]
    ) -> [String: TableReader] {
        var values: [String: [String: TOMLValue]] = [:]
        var lines: [String: [String: Int]] = [:]
        for (table, line) in document.tables where table.hasPrefix(path + ".") {
            let (name, key) = split(table.dropFirst(path.count + 1))
            if values[name] == nil { values[name] = [:] }
            lines[name, default: [:]][key] = line
        }
        for entry in document.entries where entry.path.hasPrefix(path + ".") {
            let (name, key) = split(entry.path.dropFirst(path.count + 1))
            guard !key.isEmpty else {
                // `[functions]` with a value of Supabase's own is not ours to judge.
                if path != "functions" {
                    problems.append("\(entry.path) (config.toml:\(entry.line)): expected a table")
                }
                continue
            }
            values[name, default: [:]][key] = entry.value
            lines[name, default: [:]][key] = entry.line
        }
        return Dictionary(
            uniqueKeysWithValues: values.map { name, values in
                let place = TablePlace(path: "\(path).\(name)", lines: lines[name] ?? [:])
                return (name, TableReader(name: name, place: place, values: values, environment: environment))
            })
    }

    /// The name, and the key below it, which may be empty.
    private static func split(_ rest: Substring) -> (name: String, key: String) {
        let dot = rest.firstIndex(of: ".")
        return (String(rest[..<(dot ?? rest.endIndex)]), dot.map { String(rest[rest.index(after: $0)...]) } ?? "")
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The checked configuration of a process. Made by `SettingsResolver`, read with the key's declaration:
/// `settings[\.auth.jwtExpirySeconds]`.
package struct Settings: Sendable {
    /// Where an effective value came from.
    package enum Origin: Sendable, Equatable {
        case flag(String)
        case environment(String)
        case file(line: Int)
        case standard

        package var text: String {
            switch self {
            case .flag(let name): name
            case .environment(let name): name
            case .file(let line): "config.toml:\(line)"
            case .standard: "default"
            }
        }
    }

    struct Entry: Sendable {
        let resolved: any ResolvedSetting
        let origin: Origin
    }

    private let entries: [String: Entry]
    /// The project folder that the file came from.
    package let project: ProjectFolder
    /// Functions, rules, triggers and schedules.
    package let tables: ProjectTables
    /// Keys of the file that nothing here reads: those of a Supabase project that have no effect.
    package let unusedKeys: [String]
    /// Variables that begin with `MARTLET_` and belong to no key.
    package let unusedVariables: [String]

    init(
        entries: [String: Entry], project: ProjectFolder, tables: ProjectTables, unusedKeys: [String],
        unusedVariables: [String]
    ) {
        self.entries = entries
        self.project = project
        self.tables = tables
        self.unusedKeys = unusedKeys
        self.unusedVariables = unusedVariables
    }

    /// The value of a key.
    package subscript<Value>(_ key: KeyPath<SettingsTable, Setting<Value>>) -> Value {
        self[SettingsTable.shared[keyPath: key]]
    }

    /// The value of a key that was chosen at run time, such as the port of a service.
    package subscript<Value>(_ setting: Setting<Value>) -> Value {
        guard let value = entries[setting.path]?.resolved as? ResolvedValue<Value> else {
            preconditionFailure("The setting \(setting.path) is not in the table.")
        }
        return value.value
    }

    package func origin(of declaration: any SettingDeclaration) -> Origin {
        entries[declaration.path]?.origin ?? .standard
    }

    /// The effective configuration as config.toml would hold it, each line with its origin, secrets hidden.
    package var report: String {
        var lines = ["# project: \(project.path)"]
        for group in SettingsTable.shared.groups {
            lines.append("")
            lines.append("# \(group.title)")
            for declaration in group.declarations {
                guard let entry = entries[declaration.path] else { continue }
                let text = entry.resolved.text
                let isHidden = declaration.isSecret && entry.origin != .standard && !text.isEmpty
                let shown = isHidden ? "\"(hidden)\"" : text
                lines.append(
                    text.isEmpty
                        ? "# \(declaration.path) is not set" : "\(declaration.path) = \(shown)  # \(entry.origin.text)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// What is wrong with a configuration; exit status 78.
package struct SettingsError: Error, Sendable, Equatable {
    /// Each begins with its key and says where it stands: `auth.jwt_expiry (config.toml:12): expected an integer`.
    package let problems: [String]
}

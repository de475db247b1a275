// SPDX-License-Identifier: Apache-2.0

/// The text of `docs/configuration.md`, made from the table; a test compares the two.
package enum ConfigurationDocument {
    package static var text: String {
        var lines = [
            "# Configuration", "",
            "Made from the table in `Shared/ServiceKit/Settings`; a test compares the two.", "",
            "Every key can be given in four ways. The first that is there wins:", "",
            "1. a flag: `--data-engine sqlite` or `--data-engine=sqlite`,",
            "2. an environment variable: `MARTLET_DATA_ENGINE=sqlite`,",
            "3. the project's `config.toml`: `engine = \"sqlite\"` under `[martlet.data]`; keys of a Supabase project stand where they always do,",
            "4. the default.", "",
            "In the file `\"env(NAME)\"` reads an environment variable. A key that is a secret can also stand in a file of its own, its first line: `MARTLET_DATA_ENGINE_FILE=/run/secrets/engine`. Durations have their unit (`30s`, `1h30m`, `250ms`). Lists are separated by commas outside the file. A wrong value, and an unknown key under `[martlet]`, stops the start with exit status 78 and a line that names the key; keys of a Supabase project that Martlet does not read are named in one warning. A key of a service that `docs/status.md` does not list as built is checked, and has no other effect.",
            "",
            "`--check-config` prints the effective configuration with the origin of each value, secrets hidden, and stops. `--help` lists the flags.",
            "",
        ]
        for group in SettingsTable.shared.groups {
            lines += [
                "## \(group.title)", "", "| key | type | default | environment | meaning |", "|---|---|---|---|---|",
            ]
            lines += group.declarations.map(row)
            lines.append("")
        }
        lines += TableDocument.lines
        lines += [
            "## Exit status", "", "| status | meaning |", "|---|---|", "| 0 | stopped as asked |",
            "| 64 | wrong usage: an unknown flag |", "| 69 | a port cannot be bound |",
            "| 70 | a fault of ours, or a service that ended by itself |",
            "| 73 | the data directory cannot be made or written |",
            "| 75 | the data directory belongs to a running process |",
            "| 78 | wrong configuration or keys; the message names the key or file |", "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func row(_ declaration: any SettingDeclaration) -> String {
        let type = [declaration.typeName, declaration.range].filter { !$0.isEmpty }
        let fallback = declaration.fallbackText.isEmpty ? "–" : "`\(declaration.fallbackText)`"
        let variables = declaration.environmentNames.map { "`\($0)`" }.joined(separator: ", ")
        let key = declaration.isInFile ? "`\(declaration.path)`" : "`\(declaration.flag)` (not in the file)"
        let meaning = (declaration.isSecret ? "Secret. " : "") + declaration.summary
        let cells = [key, type.joined(separator: "; "), fallback, variables, meaning]
        return "| "
            + cells.map { $0.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|") }
            .joined(separator: " | ") + " |"
    }
}

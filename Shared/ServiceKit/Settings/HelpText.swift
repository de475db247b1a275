// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// What `--help` prints: the flags that matter to one service.
package enum HelpText {
    package static func text(for service: ServiceName, program: String) -> String {
        let lines = [
            "Usage: \(program) [flags]", "",
            "Runs the \(service.rawValue) service until SIGTERM or SIGINT. docs/configuration.md describes every key.",
            "",
            "  --check-config  print the effective configuration and stop", "  --help, -h      print this",
            "  --version       print the version",
        ]
        return (lines + flags(for: [service])).joined(separator: "\n") + "\n"
    }

    /// The lines that describe the flags which matter to one of the services, by group.
    package static func flags(for services: [ServiceName]) -> [String] {
        var lines: [String] = []
        for group in SettingsTable.shared.groups {
            let own = group.declarations.filter { $0.readers.isEmpty || $0.readers.contains(where: services.contains) }
            guard !own.isEmpty else { continue }
            lines += ["", "\(group.title):"]
            for declaration in own {
                let fallback = declaration.fallbackText.isEmpty ? "" : " (default \(declaration.fallbackText))"
                lines.append("  \(declaration.flag)\(fallback)")
                lines.append("      \(declaration.summary)")
            }
        }
        return lines
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The flags of an executable: every configuration key is one (D2).
package struct CommandLineFlags: Sendable, Equatable {
    package enum Action: Sendable, Equatable { case run, checkConfiguration, help, version }

    /// A mistake of the person who typed; exit status 64.
    package struct UsageError: Error, Sendable, Equatable { package let message: String }

    package private(set) var action = Action.run
    /// Texts by path of the setting.
    package private(set) var values: [String: String] = [:]

    /// Parses `--flag value` and `--flag=value`; `--flag` alone is true for booleans.
    package init(_ arguments: some Collection<String>, table: SettingsTable = .shared) throws(UsageError) {
        let declarations = Dictionary(uniqueKeysWithValues: table.all.map { ($0.flag, $0) })
        var rest = arguments.makeIterator()
        while let argument = rest.next() {
            switch argument {
            case "--check-config": action = .checkConfiguration
            case "--help", "-h": action = .help
            case "--version": action = .version
            default:
                let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard let declaration = declarations[String(parts[0])] else {
                    throw UsageError(message: "\(parts[0]): no such flag; --help lists them")
                }
                guard values[declaration.path] == nil else {
                    throw UsageError(message: "\(declaration.flag): given twice")
                }
                if parts.count == 2 {
                    values[declaration.path] = String(parts[1])
                } else if declaration.typeName == Bool.settingType {
                    values[declaration.path] = "true"
                } else if let value = rest.next() {
                    values[declaration.path] = value
                } else {
                    throw UsageError(message: "\(declaration.flag): needs a value")
                }
            }
        }
    }
}

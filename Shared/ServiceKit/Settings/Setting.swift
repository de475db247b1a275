// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// Declaration of one configuration key: the only place that knows its name, type, default and range.
///
/// A flag, an environment variable and a place in config.toml follow from the path (D3): `martlet.data.engine` is
/// `--data-engine`, `MARTLET_DATA_ENGINE` and `engine` under `[martlet.data]`; `auth.site_url` is `--auth-site-url`,
/// `MARTLET_AUTH_SITE_URL` and `site_url` under `[auth]`.
package struct Setting<Value: SettingValue>: Sendable {
    /// Dotted path in config.toml.
    package let path: String
    /// What holds when nothing says otherwise.
    package let fallback: Value
    /// For the documentation: `1 to 65535`.
    package let range: String
    package let isSecret: Bool
    /// False for what must be known before the file is found.
    package let isInFile: Bool
    /// Further names of the environment variable, without `MARTLET_`.
    package let aliases: [String]
    /// Names of the environment variable that other programs read too, whole.
    package let standardNames: [String]
    /// Who reads it; empty for everybody.
    package let readers: [ServiceName]
    package let summary: String
    /// What is wrong with a value of the right type; nil if nothing is.
    package let fault: @Sendable (Value) -> String?

    package init(
        _ path: String, _ fallback: Value, range: String = "", isSecret: Bool = false, isInFile: Bool = true,
        aliases: [String] = [], standardNames: [String] = [], readers: [ServiceName] = [], _ summary: String,
        fault: @escaping @Sendable (Value) -> String? = { _ in nil }
    ) {
        self.path = path
        self.fallback = fallback
        self.range = range
        self.isSecret = isSecret
        self.isInFile = isInFile
        self.aliases = aliases
        self.standardNames = standardNames
        self.readers = readers
        self.summary = summary
        self.fault = fault
    }
}

extension Setting where Value == Int {
    /// A number between two bounds, both included.
    package init(
        _ path: String, _ fallback: Int, in range: ClosedRange<Int>, aliases: [String] = [],
        readers: [ServiceName] = [], _ summary: String
    ) {
        self.init(
            path, fallback, range: "\(range.lowerBound) to \(range.upperBound)", aliases: aliases, readers: readers,
            summary
        ) { value in
            range.contains(value) ? nil : "expected \(range.lowerBound) to \(range.upperBound), not \(value)"
        }
    }

    /// A TCP port; 0 picks a free one.
    package init(port path: String, _ fallback: Int, readers: [ServiceName], _ summary: String) {
        self.init(path, fallback, in: 0...65_535, readers: readers, summary)
    }
}

extension Setting where Value == Duration {
    /// A duration between two bounds, both included.
    package init(
        _ path: String, _ fallback: Duration, in range: ClosedRange<Duration>, aliases: [String] = [],
        readers: [ServiceName] = [], _ summary: String
    ) {
        let text = "\(DurationText.text(range.lowerBound)) to \(DurationText.text(range.upperBound))"
        self.init(path, fallback, range: text, aliases: aliases, readers: readers, summary) { value in
            range.contains(value) ? nil : "expected \(text), not \(DurationText.text(value))"
        }
    }
}

/// A setting without its type, for the table, the resolver and the documentation.
package protocol SettingDeclaration: Sendable {
    var path: String { get }
    var range: String { get }
    var isSecret: Bool { get }
    var isInFile: Bool { get }
    var aliases: [String] { get }
    var standardNames: [String] { get }
    var readers: [ServiceName] { get }
    var summary: String { get }
    var typeName: String { get }
    var fallbackText: String { get }
    /// Checks a value; `nil` input takes the default.
    func resolve(_ input: SettingInput?) throws(SettingFault) -> any ResolvedSetting
}

/// A checked value without its type.
package protocol ResolvedSetting: Sendable {
    var text: String { get }
}

/// A checked value.
struct ResolvedValue<Value: SettingValue>: ResolvedSetting {
    let value: Value
    var text: String { value.settingText }
}

extension Setting: SettingDeclaration {
    package var typeName: String { Value.settingType }
    package var fallbackText: String { fallback.settingText }

    package func resolve(_ input: SettingInput?) throws(SettingFault) -> any ResolvedSetting {
        guard let input else { return ResolvedValue(value: fallback) }
        let value = try Value(setting: input)
        if let reason = fault(value) { throw SettingFault(reason) }
        return ResolvedValue(value: value)
    }
}

extension SettingDeclaration {
    /// The path without `martlet.`, which environment and flags leave out.
    private var shortPath: Substring { path.hasPrefix("martlet.") ? path.dropFirst(8) : path[...] }

    /// `MARTLET_AUTH_SITE_URL`.
    package var environmentName: String {
        "MARTLET_" + shortPath.map { $0 == "." ? "_" : String($0).uppercased() }.joined()
    }

    /// Every variable that sets it, its own first.
    package var environmentNames: [String] { [environmentName] + aliases.map { "MARTLET_" + $0 } + standardNames }

    /// `--auth-site-url`.
    package var flag: String { "--" + shortPath.map { $0 == "." || $0 == "_" ? "-" : String($0) }.joined() }
}

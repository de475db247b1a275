// SPDX-License-Identifier: Apache-2.0

package import Logging

/// Where a value comes from, before it is checked.
package enum SettingInput: Sendable {
    /// A flag, an environment variable, or `env(NAME)` in the file.
    case text(String)
    case toml(TOMLValue)
}

/// What is wrong with a value, as the end of a sentence that begins with its key: "expected true or false".
package struct SettingFault: Error, Sendable, Equatable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}

/// A type that a setting can have.
package protocol SettingValue: Sendable, Equatable {
    /// For the documentation: `integer`, `duration`, ….
    static var settingType: String { get }
    init(setting input: SettingInput) throws(SettingFault)
    /// The value as a person would write it in config.toml.
    var settingText: String { get }
}

extension Bool: SettingValue {
    package static var settingType: String { "boolean" }
    package var settingText: String { self ? "true" : "false" }

    package init(setting input: SettingInput) throws(SettingFault) {
        switch input {
        case .toml(.boolean(let value)): self = value
        case .text("true"): self = true
        case .text("false"): self = false
        default: throw SettingFault("expected true or false")
        }
    }
}

extension Int: SettingValue {
    package static var settingType: String { "integer" }
    package var settingText: String { String(self) }

    package init(setting input: SettingInput) throws(SettingFault) {
        switch input {
        case .toml(.integer(let value)): self = Int(value)
        case .text(let text):
            guard let value = Int(text) else { throw SettingFault("expected an integer") }
            self = value
        case .toml(let value): throw SettingFault("expected an integer, not \(value.typeName)")
        }
    }
}

extension String: SettingValue {
    package static var settingType: String { "string" }
    package var settingText: String { TOMLText.quoted(self) }

    package init(setting input: SettingInput) throws(SettingFault) {
        switch input {
        case .toml(.string(let value)), .text(let value): self = value
        case .toml(let value): throw SettingFault("expected a string, not \(value.typeName)")
        }
    }
}

/// A list of strings; separated by commas outside the file.
extension [String]: SettingValue {
    package static var settingType: String { "list" }
    package var settingText: String { "[" + map(TOMLText.quoted).joined(separator: ", ") + "]" }

    package init(setting input: SettingInput) throws(SettingFault) {
        switch input {
        case .text(let text):
            self = text.split(separator: ",").map { String($0).trimmingSpaces() }.filter { !$0.isEmpty }
        case .toml(.array(let elements)):
            var strings: [String] = []
            for element in elements {
                guard case .string(let string) = element else {
                    throw SettingFault("expected strings in the list, not \(element.typeName)")
                }
                strings.append(string)
            }
            self = strings
        case .toml(let value): throw SettingFault("expected a list of strings, not \(value.typeName)")
        }
    }
}

/// `nil` means that the setting is not set.
extension Optional: SettingValue where Wrapped: SettingValue {
    package static var settingType: String { Wrapped.settingType }
    package var settingText: String { self?.settingText ?? "" }
    package init(setting input: SettingInput) throws(SettingFault) { self = try Wrapped(setting: input) }
}

/// A word of a fixed set.
package protocol SettingWord: SettingValue, RawRepresentable, CaseIterable where RawValue == String {}

extension SettingWord {
    package static var settingType: String { allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ") }
    package var settingText: String { TOMLText.quoted(rawValue) }

    package init(setting input: SettingInput) throws(SettingFault) {
        guard let value = Self(rawValue: try String(setting: input)) else {
            throw SettingFault("expected one of \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = value
    }
}

/// Where the process runs (D4): production refuses generated keys.
package enum DeploymentMode: String, SettingWord { case development, production }

/// How the services of one machine reach each other when no endpoints are named.
package enum BusTransport: String, SettingWord { case tcp, ipc }

/// How a log line looks.
package enum LogFormat: String, SettingWord { case auto, json, text }

/// Which requests of the public get a line in the edge's log. What was refused and every change of something are few
/// beside reads, and what is asked for afterwards.
package enum AccessLog: String, SettingWord {
    case off, refused, writes, all

    /// Whether a request gets its line.
    package func holds(status: Int, isRead: Bool) -> Bool {
        switch self {
        case .off: false
        case .refused: status >= 400
        case .writes: status >= 400 || !isRead
        case .all: true
        }
    }
}

extension Logger.Level: SettingWord {}

enum TOMLText {
    /// A basic string of TOML. Control characters become `\u` escapes.
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\" + String(scalar)
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}

extension String {
    func trimmingSpaces() -> String {
        var text = self[...]
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}

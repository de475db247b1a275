// SPDX-License-Identifier: Apache-2.0

/// Takes the keys of one named table, one by one; what nobody has taken in the end is unknown.
struct TableReader {
    let name: String
    let place: TablePlace
    private(set) var problems: [String] = []
    private var values: [String: TOMLValue]
    private let environment: [String: String]

    init(name: String, place: TablePlace, values: [String: TOMLValue], environment: [String: String]) {
        self.name = name
        self.place = place
        self.values = values
        self.environment = environment
    }

    func has(_ key: String) -> Bool { values[key] != nil }

    mutating func complain(_ key: String, _ reason: String) { problems.append(place.problem(key, reason)) }

    /// The value of a key, or `fallback` where it is absent or wrong; the latter is noted.
    mutating func take<Value: SettingValue>(
        _ key: String, _ fallback: Value, fault: (Value) -> String? = { _ in nil }
    ) -> Value {
        guard let found = values.removeValue(forKey: key) else { return fallback }
        do throws(SettingFault) {
            let value = try Value(setting: try input(found))
            if let reason = fault(value) { throw SettingFault(reason) }
            return value
        } catch {
            complain(key, error.reason)
            return fallback
        }
    }

    /// A key that has to be there; `placeholder` stands in where it is not.
    mutating func require<Value: SettingValue>(
        _ key: String, _ placeholder: Value, fault: (Value) -> String? = { _ in nil }
    ) -> Value {
        if !has(key) { complain(key, "required") }
        return take(key, placeholder, fault: fault)
    }

    mutating func take<Value: SettingValue & Comparable>(
        _ key: String, _ fallback: Value, in range: ClosedRange<Value>
    ) -> Value {
        take(key, fallback) { value in
            range.contains(value)
                ? nil : "expected \(range.lowerBound.settingText) to \(range.upperBound.settingText)"
        }
    }

    /// The texts below `key`, which is a table: `env = { NAME = "value" }`.
    mutating func takeTexts(_ key: String) -> [String: String] {
        var texts: [String: String] = [:]
        if values.removeValue(forKey: key) != nil { complain(key, "expected a table of strings") }
        for path in values.keys.sorted() where path.hasPrefix(key + ".") {
            texts[String(path.dropFirst(key.count + 1))] = take(path, "")
        }
        return texts
    }

    /// Forgets what is left: keys of a Supabase project that have no effect.
    mutating func dropRest() -> [String] {
        defer { values = [:] }
        return values.keys.sorted().map { "\(place.path).\($0)" }
    }

    /// What is left is an error.
    mutating func refuseRest() {
        for key in values.keys.sorted() { complain(key, "no such key") }
        values = [:]
    }

    private func input(_ value: TOMLValue) throws(SettingFault) -> SettingInput {
        guard case .string(let text) = value, text.hasPrefix("env("), text.hasSuffix(")") else { return .toml(value) }
        let name = String(text.dropFirst(4).dropLast())
        guard let found = environment[name] else { throw SettingFault("the environment variable \(name) is not set") }
        return .text(found)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Durations as Go writes them, which is how the dialect's `config.toml` has them: `1h30m`, `1.5s`, `250ms`.
package enum DurationText {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ]

    /// The duration, or nil if `text` is none. Negative ones are none: no setting takes them.
    package static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = text[...]
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number), let scale = units.first(where: { $0.name == unit })?.nanoseconds else {
                return nil
            }
            let nanoseconds = value * Double(scale)
            guard nanoseconds < 9e18 else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(Int64(nanoseconds.rounded()))
            guard !overflow else { return nil }
            total = sum
        }
        return .nanoseconds(total)
    }

    /// The shortest spelling in whole units.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = attoseconds / 1_000_000_000
        if nanoseconds != 0 {
            let total = seconds * 1_000_000_000 + nanoseconds
            if total % 1_000_000 == 0 { return "\(total / 1_000_000)ms" }
            return total % 1_000 == 0 ? "\(total / 1_000)us" : "\(total)ns"
        }
        if seconds == 0 { return "0s" }
        if seconds % 3_600 == 0 { return "\(seconds / 3_600)h" }
        return seconds % 60 == 0 ? "\(seconds / 60)m" : "\(seconds)s"
    }
}

extension Duration: SettingValue {
    package static var settingType: String { "duration" }
    package var settingText: String { TOMLText.quoted(DurationText.text(self)) }

    package init(setting input: SettingInput) throws(SettingFault) {
        guard case .toml(.integer) = input else {
            guard let value = DurationText.parse(try String(setting: input)) else {
                throw SettingFault("expected a duration with its unit, such as 30s, 1h30m or 250ms")
            }
            self = value
            return
        }
        throw SettingFault("expected a duration with its unit, such as \"30s\", not a bare number")
    }
}

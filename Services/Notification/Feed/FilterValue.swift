// SPDX-License-Identifier: Apache-2.0

/// A column's value as filters compare it, by the column's type.
enum FilterValue: Equatable {
    case integer(Int64)
    case decimal(Decimal)
    case double(Double)
    case bool(Bool)
    /// Microseconds, of a day or since 1970.
    case moment(Int64)
    /// Place of an enum's label.
    case ordinal(Int)
    /// Bytes in order.
    case text(String)
    /// Text that has no order here.
    case opaque(String)

    /// Digits that no machine number has to hold.
    struct Decimal: Equatable {
        let isNegative: Bool
        /// Without leading zeros.
        let whole: [UInt8]
        /// Without trailing zeros.
        let fraction: [UInt8]
    }

    /// Nil for a text that is no value of the type.
    init?(_ text: String, type: String, labels: [String]) {
        if !labels.isEmpty {
            guard let place = labels.firstIndex(of: text) else { return nil }
            self = .ordinal(place)
            return
        }
        switch type {
        case "int2", "int4", "int8":
            guard let value = Int64(text) else { return nil }
            self = .integer(value)
        case "numeric":
            guard let value = Decimal(text) else { return nil }
            self = .decimal(value)
        case "float4", "float8":
            guard let value = Double(text) else { return nil }
            self = .double(value)
        case "bool":
            switch text.lowercased() {
            case "t", "true": self = .bool(true)
            case "f", "false": self = .bool(false)
            default: return nil
            }
        case "uuid": self = .text(text.lowercased())
        case "text", "varchar": self = .text(text)
        case "citext": self = .text(text.lowercased())
        case "bpchar":
            var text = text
            while text.last == " " { text.removeLast() }
            self = .text(text)
        case "date", "time", "timestamp", "timestamptz":
            guard let value = Moment.microseconds(text, type: type) else { return nil }
            self = .moment(value)
        default: self = .opaque(text)
        }
    }

    /// Whether values of the type have an order that filters may ask for.
    static func isOrdered(type: String, labels: [String]) -> Bool {
        if !labels.isEmpty { return true }
        switch type {
        case "int2", "int4", "int8", "numeric", "float4", "float8", "bool", "uuid", "text", "varchar", "citext",
            "bpchar", "date", "time", "timestamp", "timestamptz":
            return true
        default: return false
        }
    }

    /// -1, 0 or 1; nil when the two cannot be compared.
    func compared(to other: FilterValue) -> Int? {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): Self.order(left, right)
        case (.moment(let left), .moment(let right)): Self.order(left, right)
        case (.ordinal(let left), .ordinal(let right)): Self.order(left, right)
        case (.bool(let left), .bool(let right)): Self.order(left ? 1 : 0, right ? 1 : 0)
        case (.double(let left), .double(let right)): Self.order(left, right)
        case (.decimal(let left), .decimal(let right)): left.compared(to: right)
        case (.text(let left), .text(let right)):
            left == right ? 0 : left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
        case (.opaque(let left), .opaque(let right)): left.utf8.elementsEqual(right.utf8) ? 0 : 1
        default: nil
        }
    }

    private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
        left < right ? -1 : left == right ? 0 : 1
    }

    /// As the database orders them: NaN equals itself and is greatest.
    private static func order(_ left: Double, _ right: Double) -> Int {
        if left.isNaN || right.isNaN { return left.isNaN ? (right.isNaN ? 0 : 1) : -1 }
        return left < right ? -1 : left == right ? 0 : 1
    }
}

extension FilterValue.Decimal {
    /// `-12.50`; no exponent, as the database writes none.
    init?(_ text: String) {
        var bytes = Array(text.utf8)[...]
        let hasMinus = bytes.first == UInt8(ascii: "-")
        if hasMinus || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = parts.first, !(first.isEmpty && (parts.count < 2 || parts[1].isEmpty)),
            parts.allSatisfy({ $0.allSatisfy(digits.contains) })
        else { return nil }
        let whole = Array(first.drop { $0 == UInt8(ascii: "0") })
        var fraction = parts.count > 1 ? Array(parts[1]) : []
        while fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
        self.init(isNegative: hasMinus && !(whole.isEmpty && fraction.isEmpty), whole: whole, fraction: fraction)
    }

    func compared(to other: Self) -> Int {
        if isNegative != other.isNegative { return isNegative ? -1 : 1 }
        if self == other { return 0 }
        let isSmaller =
            whole.count != other.whole.count
            ? whole.count < other.whole.count
            : whole != other.whole
                ? whole.lexicographicallyPrecedes(other.whole) : fraction.lexicographicallyPrecedes(other.fraction)
        return isSmaller != isNegative ? -1 : 1
    }
}

/// Reading and writing of days and times, as the data API writes them.
enum Moment {
    private static let second: Int64 = 1_000_000
    private static let day: Int64 = 86_400 * second

    /// `2026-01-31`, `12:00:00.5`, or both with `T` or a blank between and, for `timestamptz`, an offset behind.
    static func microseconds(_ text: String, type: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        var total: Int64 = 0
        if type != "time" {
            guard let year = number(&rest, 4), take("-", &rest), let month = number(&rest, 2), take("-", &rest),
                let date = number(&rest, 2), (1...12).contains(month), (1...31).contains(date)
            else { return nil }
            total = daysSince1970(year, month, date) * day
            if rest.isEmpty { return total }
            guard type != "date", take("T", &rest) || take(" ", &rest) else { return nil }
        }
        guard let hour = number(&rest, 2), take(":", &rest), let minute = number(&rest, 2), hour <= 24, minute < 60
        else { return nil }
        total += (hour * 3_600 + minute * 60) * second
        if take(":", &rest) {
            guard let seconds = number(&rest, 2), seconds <= 60 else { return nil }
            total += seconds * second
            if take(".", &rest) {
                var unit = second / 10
                while let digit = number(&rest, 1) {
                    total += digit * unit
                    unit /= 10
                }
            }
        }
        guard type == "timestamptz", !rest.isEmpty else { return rest.isEmpty ? total : nil }
        if take("Z", &rest) || take("z", &rest) { return rest.isEmpty ? total : nil }
        let isEast = take("+", &rest)
        guard isEast || take("-", &rest), let hours = number(&rest, 2), hours < 24 else { return nil }
        var offset = hours * 3_600
        if !rest.isEmpty {
            _ = take(":", &rest)
            guard let minutes = number(&rest, 2), minutes < 60, rest.isEmpty else { return nil }
            offset += minutes * 60
        }
        return isEast ? total - offset * second : total + offset * second
    }

    /// `2026-01-31T12:00:00.123Z`.
    static func text(microseconds: Int64) -> String {
        let days = (microseconds >= 0 ? microseconds : microseconds - day + 1) / day
        let rest = (microseconds - days * day) / 1_000
        // Howard Hinnant's civil_from_days.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let date = padded(year, 4) + "-" + padded(month, 2) + "-" + padded(dayOfYear - (153 * part + 2) / 5 + 1, 2)
        let time = padded(rest / 3_600_000, 2) + ":" + padded(rest / 60_000 % 60, 2)
        return date + "T" + time + ":" + padded(rest / 1_000 % 60, 2) + "." + padded(rest % 1_000, 3) + "Z"
    }

    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        // Howard Hinnant's days_from_civil.
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func number(_ rest: inout Slice, _ digits: Int) -> Int64? {
        let part = rest.prefix(digits)
        guard part.count == digits, part.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        rest = rest.dropFirst(digits)
        return part.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }

    private static func take(_ character: Unicode.Scalar, _ rest: inout Slice) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}

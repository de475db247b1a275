// SPDX-License-Identifier: Apache-2.0

/// PostgreSQL's interval: months, days and microseconds, which do not convert into each other.
struct IntervalValue: Sendable, Equatable {
    var months: Int64 = 0
    var days: Int64 = 0
    var microseconds: Int64 = 0

    /// `1 day`, `2 hours 30 minutes`, `1 year 2 mons -3 days 04:05:06.7`, `P1DT2H`; nil for what is not understood.
    init?(_ text: String) {
        let trimmed = text.split(whereSeparator: \.isWhitespace)
        guard !trimmed.isEmpty else { return nil }
        if trimmed.count == 1, trimmed[0].first == "P" || trimmed[0].first == "p" {
            guard readISO(trimmed[0].dropFirst()) else { return nil }
            return
        }
        var words: [Substring] = []
        for word in trimmed { words += Self.split(word) }
        if words.first == "@" { words.removeFirst() }
        let isAgo = words.last?.lowercased() == "ago"
        if isAgo { words.removeLast() }
        var index = 0
        while index < words.count {
            let word = words[index]
            if word.contains(":") {
                guard let time = Self.clock(word), addMicroseconds(time) else { return nil }
                index += 1
                continue
            }
            guard let amount = Decimal(String(word)) else { return nil }
            let unit = index + 1 < words.count ? words[index + 1].lowercased() : "second"
            guard add(amount, unit) else { return nil }
            index += 2
        }
        if isAgo {
            months.negate()
            days.negate()
            microseconds.negate()
        }
    }

    init(months: Int64 = 0, days: Int64 = 0, microseconds: Int64 = 0) {
        self.months = months
        self.days = days
        self.microseconds = microseconds
    }

    /// `7days` as `7` and `days`.
    private static func split(_ word: Substring) -> [Substring] {
        guard !word.contains(":"), let index = word.firstIndex(where: \.isLetter), index > word.startIndex else {
            return [word]
        }
        return [word[..<index], word[index...]]
    }

    private static func clock(_ word: Substring) -> Int64? {
        var rest = word
        let isNegative = rest.first == "-"
        if isNegative || rest.first == "+" { rest.removeFirst() }
        let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let hours = Int64(parts[0]), hours < 1_000_000,
            let minutes = Int64(parts[1]),
            minutes < 60
        else { return nil }
        var total = (hours * 60 + minutes) * 60_000_000
        if parts.count == 3 {
            guard let seconds = Decimal(String(parts[2]))?.rounded(to: 6).scaled(by: 6), seconds < 60_000_000 else {
                return nil
            }
            total += seconds
        }
        return isNegative ? -total : total
    }

    private mutating func readISO(_ text: Substring) -> Bool {
        var isTime = false
        var number = ""
        for character in text.uppercased() {
            switch character {
            case "T": isTime = true
            case "0"..."9", ".", "-", "+": number.append(character)
            default:
                let units: [Character: String] =
                    isTime
                    ? ["H": "hour", "M": "minute", "S": "second"]
                    : ["Y": "year", "M": "month", "W": "week", "D": "day"]
                guard let unit = units[character], let amount = Decimal(number), add(amount, unit) else { return false }
                number = ""
            }
        }
        return number.isEmpty
    }

    private static let micros: [String: Int64] = [
        "microsecond": 1, "us": 1, "usec": 1, "millisecond": 1_000, "ms": 1_000, "msec": 1_000, "second": 1_000_000,
        "sec": 1_000_000, "s": 1_000_000, "minute": 60_000_000, "min": 60_000_000, "m": 60_000_000,
        "hour": 3_600_000_000, "hr": 3_600_000_000, "h": 3_600_000_000,
    ]
    private static let daysOf: [String: Int64] = ["day": 1, "d": 1, "week": 7, "w": 7]
    private static let monthsOf: [String: Int64] = [
        "month": 1, "mon": 1, "year": 12, "yr": 12, "y": 12, "decade": 120, "dec": 120, "century": 1200,
        "centurie": 1200, "millennium": 12_000,
    ]

    /// Adds an amount of a unit; a fraction spills into the smaller field (a month has 30 days for that).
    private mutating func add(_ amount: Decimal, _ unit: String) -> Bool {
        var name = unit
        if name.count > 2, name.hasSuffix("s") { name.removeLast() }
        if let factor = Self.micros[name] {
            guard let value = (amount * Decimal(factor)).rounded(to: 0).scaled(by: 0) else { return false }
            return addMicroseconds(value)
        }
        if let factor = Self.daysOf[name] { return addDays(amount * Decimal(factor)) }
        guard let factor = Self.monthsOf[name] else { return false }
        let total = amount * Decimal(factor)
        let whole = total.rounded(to: 0, .towardZero)
        guard let value = whole.scaled(by: 0), value.magnitude < 1 << 31, months.magnitude < 1 << 31 else {
            return false
        }
        months += value
        return addDays((total - whole) * Decimal(30))
    }

    private mutating func addDays(_ amount: Decimal) -> Bool {
        let whole = amount.rounded(to: 0, .towardZero)
        guard let value = whole.scaled(by: 0), value.magnitude < 1 << 31, days.magnitude < 1 << 31,
            let rest = ((amount - whole) * Decimal(CivilTime.microsecondsPerDay)).rounded(to: 0).scaled(by: 0)
        else { return false }
        days += value
        return addMicroseconds(rest)
    }

    private mutating func addMicroseconds(_ value: Int64) -> Bool {
        let (sum, overflow) = microseconds.addingReportingOverflow(value)
        // The least integer has no opposite, which `ago` would need.
        guard !overflow, sum != .min else { return false }
        microseconds = sum
        return true
    }

    /// PostgreSQL's output: `1 year 2 mons 3 days 04:05:06`.
    var text: String {
        var parts: [String] = []
        var wasNegative = false
        func append(_ value: Int64, _ unit: String) {
            guard value != 0 else { return }
            let sign = wasNegative && value > 0 ? "+" : ""
            parts.append("\(sign)\(value) \(unit)\(value == 1 ? "" : "s")")
            wasNegative = value < 0
        }
        append(months / 12, "year")
        append(months % 12, "mon")
        append(days, "day")
        if microseconds != 0 || parts.isEmpty {
            var out: [UInt8] = microseconds < 0 ? [UInt8(ascii: "-")] : wasNegative ? [UInt8(ascii: "+")] : []
            CivilTime.appendTime(Int64(clamping: microseconds.magnitude), to: &out)
            parts.append(String(decoding: out, as: UTF8.self))
        }
        return parts.joined(separator: " ")
    }

    /// The length that PostgreSQL compares by: months of 30 days, days of 24 hours; in microseconds.
    var span: Double {
        (Double(months) * 30 + Double(days)) * Double(CivilTime.microsecondsPerDay) + Double(microseconds)
    }

    /// The moment moved by the interval, `sign` being 1 or -1; nil out of range. Month ends are kept inside the month.
    func added(to moment: Int64, sign: Int64) -> Int64? {
        guard moment != CivilTime.infinity, moment != CivilTime.minusInfinity else { return moment }
        var day = CivilTime.floorDivided(moment, by: CivilTime.microsecondsPerDay)
        let time = moment - day * CivilTime.microsecondsPerDay
        if months != 0 {
            let civil = CivilTime.civil(day)
            let total = civil.year * 12 + civil.month - 1 + sign * months
            let year = CivilTime.floorDivided(total, by: 12)
            let month = total - year * 12 + 1
            guard
                let moved = CivilTime.days(
                    year: year, month: month, day: min(civil.day, CivilTime.length(ofMonth: month, year)))
            else { return nil }
            day = moved
        }
        day += sign * days
        let (product, overflow) = day.multipliedReportingOverflow(by: CivilTime.microsecondsPerDay)
        let (sum, second) = product.addingReportingOverflow(time)
        let (result, third) = sum.addingReportingOverflow(sign * microseconds)
        return overflow || second || third ? nil : result
    }
}

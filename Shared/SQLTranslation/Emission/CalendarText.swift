// SPDX-License-Identifier: Apache-2.0

/// Dates and moments in ISO 8601 as days and microseconds since 1970-01-01 UTC.
enum CalendarText {
    private static let microsecondsPerDay: Int64 = 86_400_000_000

    /// `2026-01-31`, years 1 to 9999.
    static func days(_ text: String) -> Int64? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2,
            let year = digits(parts[0]), let month = digits(parts[1]), let day = digits(parts[2]), year >= 1,
            (1...12).contains(month), day >= 1, day <= length(ofMonth: month, year)
        else { return nil }
        // Howard Hinnant's days_from_civil: years begin in March, eras have 400 years.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// `12:30`, `12:30:59`, `12:30:59.123456`: microseconds since midnight.
    static func timeOfDay(_ text: String) -> Int64? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), parts[0].utf8.count == 2, parts[1].utf8.count == 2,
            let hour = digits(parts[0]), let minute = digits(parts[1]), hour <= 23, minute <= 59
        else { return nil }
        var micros = (hour * 60 + minute) * 60_000_000
        guard parts.count == 3 else { return micros }
        let seconds = parts[2].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard seconds[0].utf8.count == 2, let second = digits(seconds[0]), second <= 59 else { return nil }
        micros += second * 1_000_000
        guard seconds.count == 2 else { return micros }
        guard (1...6).contains(seconds[1].utf8.count), let fraction = digits(seconds[1]) else { return nil }
        return micros + (0..<(6 - seconds[1].utf8.count)).reduce(fraction) { value, _ in value * 10 }
    }

    /// A date, optionally with a time behind a space or `T`, optionally with `Z` or an offset such as `+02:00`.
    ///
    /// Without a zone the moment is UTC. An offset on a timestamp without time zone is not read.
    static func microseconds(_ text: String, takesZone: Bool) -> Int64? {
        guard let days = days(String(text.prefix(10))) else { return nil }
        var rest = text.dropFirst(10)
        guard let separator = rest.first else { return days * microsecondsPerDay }
        guard separator == " " || separator == "T" else { return nil }
        rest.removeFirst()
        var offset: Int64 = 0
        if takesZone {
            if rest.last == "Z" {
                rest.removeLast()
            } else if let sign = rest.lastIndex(where: { $0 == "+" || $0 == "-" }) {
                guard let zone = zoneOffset(rest[rest.index(after: sign)...]) else { return nil }
                offset = rest[sign] == "-" ? -zone : zone
                rest = rest[..<sign]
            }
        }
        guard let time = timeOfDay(String(rest)) else { return nil }
        return days * microsecondsPerDay + time - offset
    }

    private static func zoneOffset(_ text: Substring) -> Int64? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ $0.utf8.count == 2 }), let hours = digits(parts[0]),
            hours <= 15
        else { return nil }
        guard parts.count == 2 else { return hours * 3_600_000_000 }
        guard let minutes = digits(parts[1]), minutes <= 59 else { return nil }
        return hours * 3_600_000_000 + minutes * 60_000_000
    }

    private static func digits(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int64(text)
    }

    private static func length(ofMonth month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

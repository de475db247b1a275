// SPDX-License-Identifier: Apache-2.0

/// Dates, times and moments between their text and the integers on disk: days and microseconds since 1970-01-01 UTC.
///
/// Years 1 to 294,276; `infinity` and `-infinity` are the integer extremes.
enum CivilTime {
    static let microsecondsPerDay: Int64 = 86_400_000_000
    static let infinity = Int64.max
    static let minusInfinity = Int64.min
    private static let yearMax: Int64 = 294_276
    /// Days and moments of the years 1 to 294,276.
    static let dayRange: ClosedRange<Int64> = -719_162...106_751_983
    static let momentRange: ClosedRange<Int64> =
        dayRange.lowerBound * microsecondsPerDay...dayRange.upperBound * microsecondsPerDay

    /// Microseconds rounded to that many digits of a second, halves away from zero.
    static func rounded(_ microseconds: Int64, to digits: Int) -> Int64 {
        guard digits < 6, microseconds != infinity, microseconds != minusInfinity else { return microseconds }
        let unit = (max(digits, 0)..<6).reduce(Int64(1)) { unit, _ in unit * 10 }
        let rest = microseconds % unit
        let whole = microseconds - rest
        return rest.magnitude * 2 >= unit.magnitude ? whole + (rest < 0 ? -unit : unit) : whole
    }

    // MARK: Days

    /// Days since 1970-01-01 of a date that exists; nil for one that does not.
    static func days(year: Int64, month: Int64, day: Int64) -> Int64? {
        guard (1...yearMax).contains(year), (1...12).contains(month), day >= 1, day <= length(ofMonth: month, year)
        else {
            return nil
        }
        // Howard Hinnant's days_from_civil: years begin in March, eras have 400 years.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivided(shifted, by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    static func length(ofMonth month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    static func floorDivided(_ value: Int64, by divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }

    // MARK: Writing

    static func appendDate(_ days: Int64, to out: inout [UInt8]) {
        if days == infinity { return out.append(contentsOf: "infinity".utf8) }
        if days == minusInfinity { return out.append(contentsOf: "-infinity".utf8) }
        let (year, month, day) = civil(days)
        appendPadded(year, 4, to: &out)
        out.append(UInt8(ascii: "-"))
        appendPadded(month, 2, to: &out)
        out.append(UInt8(ascii: "-"))
        appendPadded(day, 2, to: &out)
    }

    static func appendTime(_ microseconds: Int64, to out: inout [UInt8]) {
        appendPadded(microseconds / 3_600_000_000, 2, to: &out)
        out.append(UInt8(ascii: ":"))
        appendPadded(microseconds / 60_000_000 % 60, 2, to: &out)
        out.append(UInt8(ascii: ":"))
        appendPadded(microseconds / 1_000_000 % 60, 2, to: &out)
        appendFraction(microseconds % 1_000_000, to: &out)
    }

    /// Six digits of a second without trailing zeros; nothing for a whole one.
    static func appendFraction(_ microseconds: Int64, to out: inout [UInt8]) {
        guard microseconds > 0 else { return }
        out.append(UInt8(ascii: "."))
        appendPadded(microseconds, 6, to: &out)
        while out.last == UInt8(ascii: "0") { out.removeLast() }
    }

    /// PostgreSQL's text with a space and `+00`, or JSON's with `T` and `+00:00`.
    static func appendMoment(_ microseconds: Int64, hasZone: Bool, asJSON: Bool, to out: inout [UInt8]) {
        if microseconds == infinity || microseconds == minusInfinity { return appendDate(microseconds, to: &out) }
        let days = floorDivided(microseconds, by: microsecondsPerDay)
        appendDate(days, to: &out)
        out.append(UInt8(ascii: asJSON ? "T" : " "))
        appendTime(microseconds - days * microsecondsPerDay, to: &out)
        if hasZone { out.append(contentsOf: (asJSON ? "+00:00" : "+00").utf8) }
    }

    static func appendPadded(_ value: Int64, _ width: Int, to out: inout [UInt8]) {
        let digits = String(value).utf8
        for _ in 0..<max(width - digits.count, 0) { out.append(48) }
        out.append(contentsOf: digits)
    }

    // MARK: Reading

    enum Fault: Error { case syntax, range }

    /// What a date's or moment's text says; parts that it does not say are nil.
    private struct Parts {
        var days: Int64
        var time: Int64?
        var offset: Int64?
    }

    static func date(_ text: String) throws(Fault) -> Int64 {
        if let special = special(text) { return special }
        let days = try parts(text).days
        guard dayRange.contains(days) else { throw .range }
        return days
    }

    /// A zone on a timestamp without time zone is read and ignored, as PostgreSQL does.
    static func moment(_ text: String, hasZone: Bool) throws(Fault) -> Int64 {
        if let special = special(text) { return special }
        let parts = try parts(text)
        // The last year does not fit whole: its days end before it does.
        guard dayRange.contains(parts.days) else { throw .range }
        return parts.days * microsecondsPerDay + (parts.time ?? 0) - (hasZone ? parts.offset ?? 0 : 0)
    }

    private static func special(_ text: String) -> Int64? {
        switch lowered(text) {
        case "infinity", "+infinity", "inf": infinity
        case "-infinity", "-inf": minusInfinity
        case "epoch": 0
        default: nil
        }
    }

    private static func lowered(_ text: String) -> String {
        String(decoding: trimmed(text).map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
    }

    private static func trimmed(_ text: String) -> [UInt8] {
        var bytes = Array(text.utf8.drop { $0 == 32 || (9...13).contains($0) })
        while let last = bytes.last, last == 32 || (9...13).contains(last) { bytes.removeLast() }
        return bytes
    }

    /// `2026-01-31`, `2026/1/31`, `20260131`, then optionally `T` or blanks and a time, then optionally a zone.
    private static func parts(_ text: String) throws(Fault) -> Parts {
        var cursor = DigitCursor(trimmed(text))
        let start = cursor.position
        guard let first = cursor.digits(8) else { throw .syntax }
        let days: Int64
        if cursor.position - start == 8 {
            guard let value = Self.days(year: first / 10_000, month: first / 100 % 100, day: first % 100) else {
                throw .range
            }
            days = value
        } else {
            guard let separator = cursor.next(in: "-/."), cursor.position - start >= 4, let month = cursor.digits(2),
                cursor.next(in: String(separator)) != nil, let day = cursor.digits(2)
            else { throw .syntax }
            guard let value = Self.days(year: first, month: month, day: day) else { throw .range }
            days = value
        }
        var parts = Parts(days: days)
        if cursor.isAtEnd { return parts }
        let hasMark = cursor.next(in: "Tt") != nil
        cursor.skipBlanks()
        if hasMark || cursor.isAtDigit { parts.time = try clock(&cursor) }
        cursor.skipBlanks()
        parts.offset = try zone(&cursor)
        guard cursor.isAtEnd else { throw .syntax }
        return parts
    }

    /// Microseconds since midnight; a zone behind it is read and ignored.
    static func timeOfDay(_ text: String) throws(Fault) -> Int64 {
        var cursor = DigitCursor(trimmed(text))
        let time = try clock(&cursor)
        cursor.skipBlanks()
        _ = try zone(&cursor)
        guard cursor.isAtEnd else { throw .syntax }
        return time
    }

    private static func clock(_ cursor: inout DigitCursor) throws(Fault) -> Int64 {
        guard let hour = cursor.digits(2), cursor.next(in: ":") != nil, let minute = cursor.digits(2) else {
            throw .syntax
        }
        var second: Int64 = 0
        var fraction: Int64 = 0
        if cursor.next(in: ":") != nil {
            guard let value = cursor.digits(2) else { throw .syntax }
            second = value
            if cursor.next(in: ".") != nil { fraction = cursor.microseconds() }
        }
        cursor.skipBlanks()
        var hours = hour
        if let half = cursor.next(in: "AaPp") {
            guard cursor.next(in: "Mm") != nil, (1...12).contains(hour) else { throw .syntax }
            hours = hour % 12 + ("Pp".contains(half) ? 12 : 0)
        }
        let total = ((hours * 60 + minute) * 60 + second) * 1_000_000 + fraction
        guard minute <= 59, second <= 60, hours <= 24, total <= microsecondsPerDay else { throw .range }
        return total
    }

    /// `Z`, `UTC`, `+02`, `-0330`, `+05:30`: microseconds east of UTC.
    private static func zone(_ cursor: inout DigitCursor) throws(Fault) -> Int64? {
        if cursor.isAtEnd { return nil }
        if cursor.skip(word: "utc") || cursor.skip(word: "gmt") || cursor.skip(word: "z") { return 0 }
        guard let sign = cursor.next(in: "+-") else { throw .syntax }
        let start = cursor.position
        guard let first = cursor.digits(4) else { throw .syntax }
        var seconds = cursor.position - start > 2 ? first / 100 * 3600 + first % 100 * 60 : first * 3600
        if cursor.position - start <= 2, cursor.next(in: ":") != nil {
            guard let minutes = cursor.digits(2), minutes <= 59 else { throw .syntax }
            seconds += minutes * 60
        }
        guard seconds < 16 * 3600 else { throw .range }
        return (sign == "-" ? -seconds : seconds) * 1_000_000
    }
}

/// Reads digits and marks from bytes.
private struct DigitCursor {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }
    var isAtDigit: Bool { position < bytes.count && (48...57).contains(bytes[position]) }

    /// Up to `count` digits, at least one.
    mutating func digits(_ count: Int) -> Int64? {
        guard isAtDigit else { return nil }
        var value: Int64 = 0
        var read = 0
        while isAtDigit, read < count {
            value = value * 10 + Int64(bytes[position] - 48)
            position += 1
            read += 1
        }
        return value
    }

    /// A fraction's digits, rounded to six.
    mutating func microseconds() -> Int64 {
        var value: Int64 = 0
        var read = 0
        while isAtDigit {
            if read < 6 { value = value * 10 + Int64(bytes[position] - 48) }
            if read == 6, bytes[position] >= 53 { value += 1 }
            read += 1
            position += 1
        }
        for _ in 0..<max(6 - read, 0) { value *= 10 }
        return value
    }

    mutating func next(in set: String) -> Character? {
        guard position < bytes.count else { return nil }
        let character = Character(UnicodeScalar(bytes[position]))
        guard set.contains(character) else { return nil }
        position += 1
        return character
    }

    mutating func skipBlanks() { while position < bytes.count, bytes[position] == 32 { position += 1 } }

    mutating func skip(word: String) -> Bool {
        let wanted = Array(word.utf8)
        guard bytes.count - position >= wanted.count else { return false }
        for (index, byte) in wanted.enumerated() where bytes[position + index] | 0x20 != byte { return false }
        position += wanted.count
        return true
    }
}

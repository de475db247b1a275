// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// A point in time: microseconds since 1970-01-01 UTC, as the database keeps it.
struct Moment: Sendable, Hashable, Comparable {
    let microseconds: Int64

    init(microseconds: Int64) { self.microseconds = microseconds }
    init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    /// The wall clock's time.
    static var now: Moment {
        let time = WallTime.now
        return Moment(microseconds: time.seconds * 1_000_000 + time.nanoseconds / 1_000)
    }

    /// Whole seconds, rounded down.
    var seconds: Int64 { CivilMinute.floorDivision(microseconds, 1_000_000).quotient }

    static func < (left: Moment, right: Moment) -> Bool { left.microseconds < right.microseconds }

    /// Durations of this service are bounded by its settings, a year at most.
    static func + (moment: Moment, duration: Duration) -> Moment {
        let (seconds, attoseconds) = duration.components
        return Moment(microseconds: moment.microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }

    static func - (moment: Moment, duration: Duration) -> Moment { moment + (.zero - duration) }

    static func - (later: Moment, earlier: Moment) -> Duration {
        .microseconds(later.microseconds - earlier.microseconds)
    }

    /// RFC 3339 with microseconds: `2026-01-02T03:04:05.678901Z`.
    var text: String {
        let (seconds, fraction) = CivilMinute.floorDivision(microseconds, 1_000_000)
        let minute = CivilMinute(seconds: seconds)
        let (date, second) = (minute.date, seconds - minute.seconds)
        return "\(Self.padded(date.year, 4))-\(Self.padded(Int64(date.month), 2))-\(Self.padded(Int64(date.day), 2))T"
            + "\(Self.padded(minute.minute / 60, 2)):\(Self.padded(minute.minute % 60, 2)):\(Self.padded(second, 2))."
            + "\(Self.padded(fraction, 6))Z"
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Reads RFC 3339 with any offset: `2026-01-02T03:04:05Z`, `2026-01-02 03:04:05.5+01:00`. Nil for anything else.
    init?(_ text: String) {
        var scanner = DigitScanner(text)
        guard let year = scanner.number(4), scanner.take("-"), let month = scanner.number(2), scanner.take("-"),
            let day = scanner.number(2), scanner.take("T") || scanner.take("t") || scanner.take(" "),
            let hour = scanner.number(2), scanner.take(":"), let minute = scanner.number(2), scanner.take(":"),
            let second = scanner.number(2), (1...12).contains(month), day >= 1, hour < 24, minute < 60, second < 61
        else { return nil }
        let date = CivilDate(year: year, month: Int(month), day: Int(day))
        // 31 April comes back as 1 May.
        guard CivilDate(day: date.days) == date, let fraction = scanner.fraction(), let offset = scanner.offset(),
            scanner.isAtEnd
        else { return nil }
        microseconds = (date.days * 86_400 + hour * 3_600 + minute * 60 + second - offset) * 1_000_000 + fraction
    }
}

/// Reads texts of digits with fixed places.
struct DigitScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    /// Exactly `digits` digits, or from one to as many as there are.
    mutating func number(_ digits: Int? = nil) -> Int64? {
        let found = rest.prefix(digits ?? 9).prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard !found.isEmpty, digits == nil || found.count == digits else { return nil }
        rest = rest.dropFirst(found.count)
        return found.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }

    /// `.5` in microseconds, at most nine digits; 0 where there is none.
    mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        var (value, count) = (Int64(0), 0)
        while count < 9, let digit = number(1) {
            count += 1
            if count <= 6 { value = value * 10 + digit }
        }
        guard count > 0 else { return nil }
        for _ in min(count, 6)..<6 { value *= 10 }
        return value
    }

    /// `Z`, `+01:00`, `-0330`: seconds east of UTC.
    mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let isWest = take("-")
        guard isWest || take("+"), let hours = number(2) else { return nil }
        _ = take(":")
        guard let minutes = number(2), hours < 24, minutes < 60 else { return nil }
        let seconds = hours * 3_600 + minutes * 60
        return isWest ? -seconds : seconds
    }
}

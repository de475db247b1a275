// SPDX-License-Identifier: Apache-2.0

/// A minute as a wall clock shows it somewhere: no zone, no moment by itself.
struct CivilMinute: Sendable, Hashable, Comparable {
    /// Days since 1970-01-01.
    var day: Int64
    /// 0…1439.
    var minute: Int64

    /// - Parameter seconds: since 1970-01-01T00:00 of the wall clock.
    init(seconds: Int64) {
        let (minutes, _) = Self.floorDivision(seconds, 60)
        (day, minute) = Self.floorDivision(minutes, 1_440)
    }

    init(day: Int64, minute: Int64) {
        self.day = day
        self.minute = minute
    }

    /// Since 1970-01-01T00:00 of the wall clock.
    var seconds: Int64 { (day * 1_440 + minute) * 60 }

    /// 0 is Sunday. 1970-01-01 was a Thursday.
    var weekday: Int { Int(Self.floorDivision(day + 4, 7).remainder) }

    var date: CivilDate { CivilDate(day: day) }

    static func < (left: CivilMinute, right: CivilMinute) -> Bool {
        (left.day, left.minute) < (right.day, right.minute)
    }

    static func floorDivision(_ number: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

/// A day of the Gregorian calendar. Both directions after Howard Hinnant, "chrono-compatible low-level date
/// algorithms": years begin in March.
struct CivilDate: Sendable, Hashable {
    var year: Int64
    /// 1…12.
    var month: Int
    /// 1…31.
    var day: Int

    init(year: Int64, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// - Parameter day: since 1970-01-01.
    init(day: Int64) {
        let (era, dayOfEra) = CivilMinute.floorDivision(day + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        month = Int(shifted < 10 ? shifted + 3 : shifted - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        self.day = Int(dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    /// Days since 1970-01-01.
    var days: Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = CivilMinute.floorDivision(shifted, 400).quotient
        let yearOfEra = shifted - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

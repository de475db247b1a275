// SPDX-License-Identifier: Apache-2.0
import MartletDatabase

extension MartletFunctions {
    static let moments: [SQLiteFunction] = [
        strict("martlet_moment_add", 3) { arguments in
            guard let interval = IntervalValue(arguments.text(1)) else {
                throw error("22007", "invalid input syntax for type interval: \"\(arguments.text(1))\"")
            }
            let moment = interval.added(to: arguments.integer(0), sign: arguments.integer(2))
            guard let moment, isInfinite(moment) || CivilTime.momentRange.contains(moment) else {
                throw error("22008", "timestamp out of range")
            }
            return .integer(moment)
        },
        strict("martlet_date_moment", 1) { arguments in
            let days = arguments.integer(0)
            guard !isInfinite(days) else { return .integer(days) }
            let (moment, overflow) = days.multipliedReportingOverflow(by: CivilTime.microsecondsPerDay)
            guard !overflow else { throw error("22008", "date out of range for timestamp") }
            return .integer(moment)
        },
        strict("martlet_moment_date", 1) { arguments in
            let moment = arguments.integer(0)
            return .integer(
                isInfinite(moment) ? moment : CivilTime.floorDivided(moment, by: CivilTime.microsecondsPerDay))
        },
        strict("martlet_moment_round", 2) { arguments in
            .integer(CivilTime.rounded(arguments.integer(0), to: arguments.count(1)))
        },
        strict("martlet_moment_time", 1) { arguments in
            let moment = arguments.integer(0)
            guard !isInfinite(moment) else { return .null }
            let day = CivilTime.floorDivided(moment, by: CivilTime.microsecondsPerDay)
            return .integer(moment - day * CivilTime.microsecondsPerDay)
        },
        strict("martlet_date_add", 2) { arguments in
            let days = arguments.integer(0)
            guard !isInfinite(days) else { return .integer(days) }
            let (sum, overflow) = days.addingReportingOverflow(arguments.integer(1))
            guard !overflow, CivilTime.dayRange.contains(sum) else { throw error("22008", "date out of range") }
            return .integer(sum)
        },
        strict("martlet_date_difference", 2) { arguments in
            guard !isInfinite(arguments.integer(0)), !isInfinite(arguments.integer(1)) else {
                throw error("22008", "cannot subtract infinite dates")
            }
            return .integer(arguments.integer(0) - arguments.integer(1))
        },
        strict("martlet_moment_difference", 2) { arguments in
            let (micros, overflow) = arguments.integer(0).subtractingReportingOverflow(arguments.integer(1))
            guard !overflow, !isInfinite(arguments.integer(0)), !isInfinite(arguments.integer(1)) else {
                throw error("22008", "cannot subtract infinite timestamps")
            }
            // Whole days, as PostgreSQL's timestamp subtraction gives them.
            return .text(
                IntervalValue(
                    days: micros / CivilTime.microsecondsPerDay,
                    microseconds: micros % CivilTime.microsecondsPerDay
                ).text)
        },
        strict("martlet_interval_span", 1) { arguments in
            guard let interval = IntervalValue(arguments.text(0)) else {
                throw error("22007", "invalid input syntax for type interval: \"\(arguments.text(0))\"")
            }
            return .real(interval.span)
        },
        strict("martlet_in_utc", 2) { arguments in
            guard ["utc", "gmt", "z", "etc/utc"].contains(arguments.text(0).lowercased()) else {
                throw error("0A000", "time zone \"\(arguments.text(0))\" is not known on SQLite: UTC is")
            }
            return .integer(arguments.integer(1))
        },
        strict("martlet_date_trunc", 2) { arguments in
            let moment = arguments.integer(1)
            guard !isInfinite(moment) else { return .integer(moment) }
            guard let truncated = truncated(moment, to: arguments.text(0).lowercased()) else {
                throw error("22023", "unit \"\(arguments.text(0))\" not recognized for type timestamp")
            }
            return .integer(truncated)
        },
        strict("martlet_extract", 2) { try extract($0.text(0).lowercased(), from: $0.integer(1)) },
        strict("martlet_extract_date", 2) { arguments in
            let days = arguments.integer(1)
            if arguments.text(0).lowercased() == "epoch", !isInfinite(days) { return .text(String(days * 86_400)) }
            return try extract(
                arguments.text(0).lowercased(), from: isInfinite(days) ? days : days * CivilTime.microsecondsPerDay)
        },
    ]

    static func isInfinite(_ value: Int64) -> Bool {
        value == CivilTime.infinity || value == CivilTime.minusInfinity
    }

    private static func truncated(_ moment: Int64, to unit: String) -> Int64? {
        let units: [String: Int64] = [
            "microseconds": 1, "milliseconds": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000,
            "day": CivilTime.microsecondsPerDay,
        ]
        if let unit = units[unit] { return CivilTime.floorDivided(moment, by: unit) * unit }
        let day = CivilTime.floorDivided(moment, by: CivilTime.microsecondsPerDay)
        let civil = CivilTime.civil(day)
        let first: Int64?
        switch unit {
        // 1970-01-01 was a Thursday; weeks begin on Monday.
        case "week": first = CivilTime.floorDivided(day + 3, by: 7) * 7 - 3
        case "month": first = CivilTime.days(year: civil.year, month: civil.month, day: 1)
        case "quarter": first = CivilTime.days(year: civil.year, month: (civil.month - 1) / 3 * 3 + 1, day: 1)
        case "year": first = CivilTime.days(year: civil.year, month: 1, day: 1)
        case "decade": first = CivilTime.days(year: max(civil.year / 10 * 10, 1), month: 1, day: 1)
        case "century": first = CivilTime.days(year: (civil.year - 1) / 100 * 100 + 1, month: 1, day: 1)
        default: return nil
        }
        return first.map { $0 * CivilTime.microsecondsPerDay }
    }

    /// A field as numeric, with the digits that PostgreSQL shows.
    private static func extract(_ field: String, from moment: Int64) throws -> SQLValue {
        guard !isInfinite(moment) else { throw error("0A000", "fields of infinite moments are not translated") }
        let day = CivilTime.floorDivided(moment, by: CivilTime.microsecondsPerDay)
        let time = moment - day * CivilTime.microsecondsPerDay
        let civil = CivilTime.civil(day)
        let value: Int64
        switch field {
        case "epoch": return .text(Decimal(scaled: moment, scale: 6).text)
        case "second": return .text(Decimal(scaled: time % 60_000_000, scale: 6).text)
        case "milliseconds": return .text(Decimal(scaled: time % 60_000_000, scale: 3).text)
        case "microseconds": value = time % 60_000_000
        case "minute": value = time / 60_000_000 % 60
        case "hour": value = time / 3_600_000_000
        case "day": value = civil.day
        case "month": value = civil.month
        case "quarter": value = (civil.month - 1) / 3 + 1
        case "year": value = civil.year
        case "decade": value = civil.year / 10
        case "century": value = (civil.year + 99) / 100
        case "millennium": value = (civil.year + 999) / 1_000
        case "dow": value = (day + 4) - CivilTime.floorDivided(day + 4, by: 7) * 7
        case "isodow": value = (day + 3) - CivilTime.floorDivided(day + 3, by: 7) * 7 + 1
        case "doy": value = day - (CivilTime.days(year: civil.year, month: 1, day: 1) ?? day) + 1
        case "week", "isoyear":
            // The week's Thursday decides about its year.
            let thursday = CivilTime.floorDivided(day + 3, by: 7) * 7
            let year = CivilTime.civil(thursday).year
            let first = CivilTime.days(year: year, month: 1, day: 1) ?? thursday
            value = field == "week" ? (thursday - first) / 7 + 1 : year
        default: throw error("22023", "unit \"\(field)\" not recognized for type timestamp with time zone")
        }
        return .text(String(value))
    }
}

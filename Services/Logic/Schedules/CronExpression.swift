// SPDX-License-Identifier: Apache-2.0

/// Five fields of cron: minute, hour, day of month, month, day of week (crontab(5)).
struct CronExpression: Sendable, Equatable {
    struct Fault: Error, Equatable {
        let message: String
    }

    private let minutes: CronField
    private let hours: CronField
    private let days: CronField
    private let months: CronField
    private let weekdays: CronField

    /// How far ahead a day is looked for: 29 February can be eight years away (2096 to 2104), and on a given day of
    /// the week 40 (around 2100).
    private static let daysAheadMax: Int64 = 41 * 366

    init(_ text: String) throws(Fault) {
        let parts = text.split { $0 == " " || $0 == "\t" }
        guard parts.count == 5 else {
            throw Fault(message: "expected five fields (minute, hour, day, month, day of week) or `<n> seconds`")
        }
        minutes = try CronField(parts[0], "minute", 0...59)
        hours = try CronField(parts[1], "hour", 0...23)
        days = try CronField(parts[2], "day", 1...31)
        months = try CronField(parts[3], "month", 1...12, names: CronField.months)
        weekdays = try CronField(parts[4], "day of week", 0...7, names: CronField.weekdays).foldingSunday
        // 30 February and its like never come.
        guard nextCivil(after: CivilMinute(seconds: 0)) != nil else {
            throw Fault(message: "no day of the calendar matches")
        }
    }

    /// The first moment after `moment` that matches. Nil when there is none.
    ///
    /// A schedule of certain hours follows the wall clock: where the clock is put forward it runs as much later as the
    /// clock was moved, where it is put back it runs once. One of every hour follows time itself and runs in both of
    /// the repeated hours.
    func next(after moment: Moment, in zone: Zone) -> Moment? {
        hours.isEvery ? nextByTime(after: moment, zone) : nextByClock(after: moment, zone)
    }

    private func nextByClock(after moment: Moment, _ zone: Zone) -> Moment? {
        var civil = zone.civil(at: moment)
        // More than one try: a repeated hour's first half may lie behind us.
        for _ in 0..<240 {
            guard let next = nextCivil(after: civil) else { return nil }
            let found = zone.moment(of: next)
            if found > moment { return found }
            civil = next
        }
        return nil
    }

    private func nextByTime(after moment: Moment, _ zone: Zone) -> Moment? {
        // At most a day of wrong minutes before a day is passed over as a whole.
        var seconds = CivilMinute(seconds: moment.seconds).seconds + 60
        let last = seconds + Self.daysAheadMax * 86_400
        while seconds < last {
            let civil = CivilMinute(seconds: seconds + zone.offset(at: seconds))
            if !matchesDay(civil) {
                // To the local midnight: three hours before it, for the clock may change, by quarters of an hour, of
                // which every offset is made.
                seconds += max(15 - civil.minute % 15, 1_440 - civil.minute - 180) * 60
                continue
            }
            if minutes.contains(Int(civil.minute % 60)) { return Moment(seconds: seconds) }
            seconds += 60
        }
        return nil
    }

    private func nextCivil(after civil: CivilMinute) -> CivilMinute? {
        var minute = civil.minute + 1
        for day in civil.day...(civil.day + Self.daysAheadMax) {
            defer { minute = 0 }
            guard matchesDay(CivilMinute(day: day, minute: 0)) else { continue }
            while minute < 1_440 {
                if !hours.contains(Int(minute / 60)) {
                    minute = (minute / 60 + 1) * 60
                } else if minutes.contains(Int(minute % 60)) {
                    return CivilMinute(day: day, minute: minute)
                } else {
                    minute += 1
                }
            }
        }
        return nil
    }

    /// When both kinds of day are restricted, either is enough (crontab(5)).
    private func matchesDay(_ civil: CivilMinute) -> Bool {
        let date = civil.date
        guard months.contains(date.month) else { return false }
        let (byDay, byWeekday) = (days.contains(date.day), weekdays.contains(civil.weekday))
        return days.isStar || weekdays.isStar ? byDay && byWeekday : byDay || byWeekday
    }
}

/// The numbers of one field.
struct CronField: Sendable, Equatable {
    private(set) var bits: UInt64
    private let range: ClosedRange<Int>
    /// Whether it begins with `*`, which decides how days and weekdays go together.
    let isStar: Bool

    static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    /// - Parameter names: of the numbers from the range's first on.
    init(
        _ text: Substring, _ what: String, _ range: ClosedRange<Int>, names: [String] = []
    ) throws(CronExpression.Fault) {
        let fault = CronExpression.Fault(
            message: "\(text): no \(what) of cron (\(range.lowerBound) to \(range.upperBound))")
        func number(_ text: Substring) throws(CronExpression.Fault) -> Int {
            if let position = names.firstIndex(of: text.lowercased()) { return range.lowerBound + position }
            guard text.utf8.count <= 2, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
                range.contains(number)
            else { throw fault }
            return number
        }
        self.range = range
        isStar = text.first == "*"
        var bits: UInt64 = 0
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "/", omittingEmptySubsequences: false)
            guard halves.count <= 2 else { throw fault }
            var step = 1
            if halves.count == 2 {
                guard let found = Int(halves[1]), halves[1].first != "+", (1...range.upperBound).contains(found) else {
                    throw fault
                }
                step = found
            }
            let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
            let numbers: ClosedRange<Int>
            if halves[0] == "*" {
                numbers = range
            } else if ends.count == 2 {
                let (first, last) = (try number(ends[0]), try number(ends[1]))
                guard first <= last else { throw fault }
                numbers = first...last
            } else if ends.count == 1 {
                let first = try number(ends[0])
                numbers = first...(halves.count == 2 ? range.upperBound : first)
            } else {
                throw fault
            }
            for number in stride(from: numbers.lowerBound, through: numbers.upperBound, by: step) {
                bits |= 1 << number
            }
        }
        self.bits = bits
    }

    func contains(_ number: Int) -> Bool { bits >> UInt64(number) & 1 == 1 }

    var isEvery: Bool { range.allSatisfy(contains) }

    /// 7 is Sunday as well.
    var foldingSunday: CronField {
        var field = self
        if contains(7) { field.bits |= 1 }
        return field
    }
}

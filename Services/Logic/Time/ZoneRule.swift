// SPDX-License-Identifier: Apache-2.0

/// The text that says how a zone goes on behind the last transition of its file: POSIX's TZ with the extensions of
/// RFC 9636, section 3.3.1 (`CET-1CEST,M3.5.0,M10.5.0/3`, `<-03>3<-02>,M3.5.0/-2,M10.5.0/-1`).
struct ZoneRule: Sendable, Equatable {
    /// Seconds east of UTC.
    let standard: Int64
    let summer: Summer?

    struct Summer: Sendable, Equatable {
        let offset: Int64
        let start: Change
        let end: Change
    }

    /// When the clock changes, in a year.
    struct Change: Sendable, Equatable {
        enum Day: Sendable, Equatable {
            /// `Mm.w.d`: weekday `d` of week `w` of month `m`; week 5 is the last.
            case weekday(month: Int, week: Int, weekday: Int)
            /// `Jn`: 1…365, never counting 29 February.
            case julian(Int)
            /// `n`: 0…365.
            case ordinal(Int)
        }

        let day: Day
        /// Seconds of the local time that holds before the change; −167 to 167 hours.
        let time: Int64

        /// Seconds since 1970 of the wall clock that holds before the change.
        func localSeconds(year: Int64) -> Int64 {
            let first = CivilDate(year: year, month: 1, day: 1).days
            let days: Int64
            switch day {
            case .ordinal(let number): days = first + Int64(number)
            case .julian(let number):
                let isLeap = CivilDate(year: year, month: 3, day: 1).days - first == 60
                days = first + Int64(number) - 1 + (isLeap && number >= 60 ? 1 : 0)
            case .weekday(let month, let week, let weekday):
                let begin = CivilDate(year: year, month: month, day: 1).days
                let next =
                    month == 12
                    ? CivilDate(year: year + 1, month: 1, day: 1).days
                    : CivilDate(year: year, month: month + 1, day: 1).days
                let shift = (weekday - CivilMinute(day: begin, minute: 0).weekday + 7) % 7
                var found = begin + Int64(shift) + Int64(week - 1) * 7
                while found >= next { found -= 7 }
                days = found
            }
            return days * 86_400 + time
        }
    }

    /// Seconds east of UTC at a time in seconds since 1970.
    func offset(at seconds: Int64) -> Int64 {
        guard let summer else { return standard }
        let year = CivilMinute(seconds: seconds + standard).date.year
        let start = summer.start.localSeconds(year: year) - standard
        let end = summer.end.localSeconds(year: year) - summer.offset
        // South of the equator summer spans the turn of the year.
        let isSummer = start < end ? (start..<end).contains(seconds) : !(end..<start).contains(seconds)
        return isSummer ? summer.offset : standard
    }

    /// Nil for a text that is none.
    init?(_ text: String) {
        var scanner = ZoneRuleScanner(text)
        guard scanner.name(), let west = scanner.time() else { return nil }
        standard = -west
        if scanner.isAtEnd {
            summer = nil
            return
        }
        guard scanner.name() else { return nil }
        var offset = standard + 3_600
        if !scanner.take(",") {
            guard let west = scanner.time(), scanner.take(",") else { return nil }
            offset = -west
        }
        guard let start = scanner.change(), scanner.take(","), let end = scanner.change(), scanner.isAtEnd else {
            return nil
        }
        summer = Summer(offset: offset, start: start, end: end)
    }
}

private struct ZoneRuleScanner {
    private var rest: [UInt8]

    init(_ text: String) {
        rest = Array(text.utf8)
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    /// `CET`, `<+0330>`.
    mutating func name() -> Bool {
        if take("<") {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
            rest.removeFirst(end + 1)
            return true
        }
        let letters = rest.prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") }
        rest.removeFirst(letters.count)
        return letters.count >= 3
    }

    mutating func number() -> Int64? {
        let found = rest.prefix(3).prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard !found.isEmpty else { return nil }
        rest.removeFirst(found.count)
        return found.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }

    /// `3`, `-1`, `+5:30`, `2:00:00`, in seconds.
    mutating func time() -> Int64? {
        let isNegative = take("-")
        if !isNegative { _ = take("+") }
        guard let hours = number(), hours <= 167 else { return nil }
        var seconds = hours * 3_600
        for unit in [Int64(60), 1] where take(":") {
            guard let part = number(), part < 60 else { return nil }
            seconds += part * unit
        }
        return isNegative ? -seconds : seconds
    }

    mutating func change() -> ZoneRule.Change? {
        let day: ZoneRule.Change.Day
        if take("M") {
            guard let month = number(), take("."), let week = number(), take("."), let weekday = number(),
                (1...12).contains(month), (1...5).contains(week), weekday <= 6
            else { return nil }
            day = .weekday(month: Int(month), week: Int(week), weekday: Int(weekday))
        } else if take("J") {
            guard let number = number(), (1...365).contains(number) else { return nil }
            day = .julian(Int(number))
        } else {
            guard let number = number(), number <= 365 else { return nil }
            day = .ordinal(Int(number))
        }
        var seconds: Int64? = 7_200
        if take("/") { seconds = time() }
        return seconds.map { ZoneRule.Change(day: day, time: $0) }
    }
}

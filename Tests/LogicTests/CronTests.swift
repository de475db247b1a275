// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletLogic

@Suite("Logic: cron")
struct CronTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let cron: String
        var zone = "UTC"
        let after: String
        let expected: [String]
        var testDescription: String { "\(cron) \(zone) after \(after)" }
    }

    @Test(
        "The next times are those of crontab(5)",
        arguments: [
            Case(
                cron: "* * * * *", after: "2026-03-01T12:00:30Z",
                expected: ["2026-03-01T12:01:00", "2026-03-01T12:02:00"]),
            Case(
                cron: "*/20 8-10/2 * * *", after: "2026-03-01T08:20:00Z",
                expected: ["2026-03-01T08:40:00", "2026-03-01T10:00:00", "2026-03-01T10:20:00"]),
            Case(cron: "0 3 * * *", after: "2026-02-28T03:00:00Z", expected: ["2026-03-01T03:00:00"]),
            Case(
                cron: "5,10 0 1 jan,JUL *", after: "2026-01-01T00:05:00Z",
                expected: ["2026-01-01T00:10:00", "2026-07-01T00:05:00"]),
            Case(cron: "0 0 29 2 *", after: "2096-03-01T00:00:00Z", expected: ["2104-02-29T00:00:00"]),
            Case(
                cron: "0 12 * * 0", after: "2026-03-02T00:00:00Z",
                expected: ["2026-03-08T12:00:00", "2026-03-15T12:00:00"]),
            Case(cron: "0 12 * * 7", after: "2026-03-02T00:00:00Z", expected: ["2026-03-08T12:00:00"]),
            Case(cron: "0 12 * * mon-wed", after: "2026-03-04T12:00:00Z", expected: ["2026-03-09T12:00:00"]),
            // Both kinds of day are restricted: either is enough.
            Case(
                cron: "0 0 13 * fri", after: "2026-03-06T00:00:00Z",
                expected: ["2026-03-13T00:00:00", "2026-03-20T00:00:00"]),
            Case(
                cron: "0 0 10 * fri", after: "2026-03-06T00:00:00Z",
                expected: ["2026-03-10T00:00:00", "2026-03-13T00:00:00"]),
            // `*/2` begins with a star, so both must match: odd days that are Fridays.
            Case(
                cron: "0 0 */2 * fri", after: "2026-03-06T00:00:00Z",
                expected: ["2026-03-13T00:00:00", "2026-03-27T00:00:00"]),
            Case(
                cron: "50/5 23 31 12 *", after: "2026-03-06T00:00:00Z",
                expected: ["2026-12-31T23:50:00", "2026-12-31T23:55:00"]),
            // The clock of the place, in winter and in summer.
            Case(
                cron: "0 3 * * *", zone: "Europe/Berlin", after: "2026-03-28T01:00:00Z",
                expected: ["2026-03-28T02:00:00", "2026-03-29T01:00:00", "2026-03-30T01:00:00"]),
            // 02:30 is left out on 29 March: it runs as much later as the clock was moved.
            Case(
                cron: "30 2 * * *", zone: "Europe/Berlin", after: "2026-03-28T12:00:00Z",
                expected: ["2026-03-29T01:30:00", "2026-03-30T00:30:00"]),
            // 02:30 comes twice on 25 October: it runs at the first.
            Case(
                cron: "30 2 * * *", zone: "Europe/Berlin", after: "2026-10-24T12:00:00Z",
                expected: ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]),
            Case(
                cron: "*/30 2 * * *", zone: "Europe/Berlin", after: "2026-10-25T00:40:00Z",
                expected: ["2026-10-26T01:00:00"]),
            // Every hour means every hour that passes.
            Case(
                cron: "0 * * * *", zone: "Europe/Berlin", after: "2026-10-24T23:30:00Z",
                expected: ["2026-10-25T00:00:00", "2026-10-25T01:00:00", "2026-10-25T02:00:00"]),
            Case(
                cron: "15 * * * *", zone: "Asia/Kathmandu", after: "2026-03-01T12:00:00Z",
                expected: ["2026-03-01T12:30:00", "2026-03-01T13:30:00"]),
            Case(
                cron: "0 * 1 1 *", zone: "Australia/Lord_Howe", after: "2026-02-01T00:00:00Z",
                expected: ["2026-12-31T13:00:00", "2026-12-31T14:00:00"]),
        ])
    func next(given: Case) throws {
        let zone = try #require(Zone.named(given.zone))
        let timing = try Timing(given.cron, zone: zone)
        var moment = try #require(Moment(given.after))
        for expected in given.expected {
            moment = try #require(timing.next(after: moment))
            #expect(moment.text == expected + ".000000Z")
        }
    }

    @Test("Seconds are counted from 1970")
    func seconds() throws {
        let timing = try Timing("25 seconds", zone: .utc)
        let moment = try #require(Moment("1970-01-01T00:01:00Z"))
        #expect(timing.next(after: moment) == Moment(seconds: 75))
        #expect(timing.next(after: Moment(seconds: 75)) == Moment(seconds: 100))
        #expect(timing.latest(from: Moment(seconds: 75), notAfter: Moment(seconds: 1_013)) == Moment(seconds: 1_000))
    }

    @Test(
        "The last time of years is found at once",
        arguments: [
            ("* * * * *", "2026-03-01T11:59:00Z"), ("*/7 0-3 * * 1", "2026-02-23T02:56:00Z"),
            ("0 12 29 2 *", "2024-02-29T11:00:00Z"), ("30 12 1 3 *", "2026-03-01T11:30:00Z"),
        ])
    func latest(cron: String, expected: String) throws {
        let timing = try Timing(cron, zone: try #require(Zone.named("Europe/Berlin")))
        let now = try #require(Moment("2026-03-01T11:59:30Z"))
        // A clock that begins in 1970 and is set later.
        let due = try #require(timing.next(after: Moment(seconds: 0)))
        let begin = ContinuousClock.now
        #expect(timing.latest(from: due, notAfter: now).text == expected.replacing("Z", with: ".000000Z"))
        #expect(ContinuousClock.now - begin < .milliseconds(500))
        let last = try #require(Moment(expected))
        #expect(timing.latest(from: last, notAfter: now) == last)
    }

    @Test(
        "What is no cron is refused, with words",
        arguments: [
            "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *", "*/+2 * * * *", "1,,2 * * * *", "a * * * *", "+1 * * * *", "1-2-3 * * * *", "1/2/3 * * * *",
            "0 0 31 2 *", "0 seconds", "60 seconds", "x seconds", "-5 * * * *", "* * * foo *",
        ])
    func refuses(cron: String) throws {
        let fault = #expect(throws: CronExpression.Fault.self) { try Timing(cron, zone: .utc) }
        #expect(try #require(fault).message.isEmpty == false)
    }

    /// Minute by minute over a year with both changes of the clock, against the definition.
    @Test(
        "A schedule of every hour fires exactly in the minutes that match",
        arguments: ["Europe/Berlin", "America/St_Johns"])
    func everyHour(name: String) throws {
        let zone = try #require(Zone.named(name))
        let timing = try Timing("*/45 * 1-7,25-31 3,10,11 sun", zone: zone)
        var expected: [Moment] = []
        let start = try #require(Moment("2026-01-01T00:00:00Z"))
        for minute in 0..<(365 * 1_440) {
            let moment = Moment(seconds: start.seconds + Int64(minute) * 60)
            let civil = zone.civil(at: moment)
            let date = civil.date
            guard [3, 10, 11].contains(date.month), civil.minute % 60 % 45 == 0,
                (1...7).contains(date.day) || (25...31).contains(date.day) || civil.weekday == 0
            else { continue }
            expected.append(moment)
        }
        var moment = Moment(seconds: start.seconds - 1)
        for wanted in expected {
            moment = try #require(timing.next(after: moment))
            guard moment != wanted else { continue }
            Issue.record("\(moment.text), expected \(wanted.text)")
            return
        }
        #expect(expected.count > 1_000)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import MartletLogic

@Suite("Logic: moments and zones")
struct TimeTests {
    @Test(
        "RFC 3339 is read with any offset, and written in UTC",
        arguments: [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02t03:04:05.5+01:30", "2026-01-02T01:34:05.500000Z"),
            ("2024-02-29 23:59:60-0000", "2024-03-01T00:00:00.000000Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ])
    func reads(text: String, expected: String) throws { #expect(try #require(Moment(text)).text == expected) }

    @Test(
        "What is no moment is none",
        arguments: [
            "", "2026-01-02", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-02T24:00:00Z",
            "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05Zx", "2026-1-2T03:04:05Z",
        ])
    func refuses(text: String) { #expect(Moment(text) == nil) }

    /// `zdump` reads the same files with code of its own. (Foundation does not: it brings a database.)
    @Test(
        "Offsets are those of the system's database",
        arguments: [
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo",
            "Pacific/Apia", "Africa/Casablanca", "Europe/Dublin", "America/Nuuk", "Asia/Gaza", "Antarctica/Troll",
        ])
    func offsets(name: String) throws {
        let zone = try #require(Zone.named(name))
        // The seconds before and of each transition.
        let lines = try Self.zdump("-V", "-c", "1975,2037", name)
        #expect(name == "Asia/Kolkata" || lines.count > 10)
        for line in lines {
            // `Europe/Berlin  Sun Mar 30 00:59:59 2025 UT = Sun Mar 30 01:59:59 2025 CET isdst=0 gmtoff=3600`
            let words = line.split(separator: " ")
            let month = try #require(Self.months.firstIndex(of: String(words[2]))) + 1
            let day = words[3].count == 1 ? "0\(words[3])" : "\(words[3])"
            let text = "\(words[5])-\(month < 10 ? "0" : "")\(month)-\(day)T\(words[4])Z"
            let expected = try #require(words.last?.split(separator: "=").last.flatMap { Int64($0) })
            #expect(zone.offset(at: try #require(Moment(text)).seconds) == expected, "\(text)")
        }
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func zdump(_ arguments: String...) throws -> [Substring] {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/zdump")
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return text.split(separator: "\n").filter { $0.contains("gmtoff=") && !$0.contains("NULL") }
    }

    @Test("Rules hold for ever: the last transition of the file is not the last of the world")
    func rules() throws {
        let berlin = try #require(Zone.named("Europe/Berlin"))
        for (text, offset) in [
            ("2100-03-28T00:59:59Z", Int64(3_600)), ("2100-03-28T01:00:00Z", 7_200), ("2100-10-31T00:59:59Z", 7_200),
            ("2100-10-31T01:00:00Z", 3_600),
        ] { #expect(berlin.offset(at: try #require(Moment(text)).seconds) == offset, "\(text)") }
        let sydney = try #require(Zone.named("Australia/Sydney"))
        #expect(sydney.offset(at: try #require(Moment("2100-01-01T00:00:00Z")).seconds) == 39_600)
        #expect(sydney.offset(at: try #require(Moment("2100-07-01T00:00:00Z")).seconds) == 36_000)
    }

    @Test(
        "Rules in every form",
        arguments: [
            ("UTC0", Int64(0)), ("EST5", -18_000), ("<-03>3", -10_800), ("<+0545>-5:45", 20_700),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", 0), ("AAA0BBB,J60/0,J300", 0), ("AAA0BBB,0/0,365/23", 3_600),
        ])
    func ruleForms(text: String, januaryOffset: Int64) throws {
        let rule = try #require(ZoneRule(text))
        #expect(rule.offset(at: try #require(Moment("2026-01-15T12:00:00Z")).seconds) == januaryOffset)
    }

    @Test(
        "What is no rule, and what is no name of a zone, is none",
        arguments: [
            "", "CE", "CET", "CET-1CEST,M13.1.0,M10.5.0", "CET-1CEST,M3.5.0", "CET-200", "<CET-1",
            "CET-1CEST,M3.5.0,M10.5.0x",
        ])
    func badRules(text: String) { #expect(ZoneRule(text) == nil) }

    @Test(
        "Names lead to zones alone",
        arguments: [
            "Europe/Nowhere", "../../../etc/passwd", "Europe/../Europe/Berlin", "/etc/localtime", "zone.tab", "Europe",
            "a\0b",
        ])
    func names(name: String) { #expect(Zone.named(name) == nil) }

    @Test("No bytes are a trap")
    func junk() throws {
        let file = Array(try Data(contentsOf: URL(fileURLWithPath: "/usr/share/zoneinfo/Europe/Berlin")))
        for end in 0..<file.count { _ = Zone(name: "x", file: Array(file[..<end])) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var bytes = file
            for _ in 0..<4 {
                bytes[Int.random(in: 0..<min(bytes.count, 200), using: &generator)] = .random(
                    in: 0 ... .max, using: &generator)
            }
            _ = Zone(name: "x", file: bytes)?.offset(at: 1_700_000_000)
        }
    }
}

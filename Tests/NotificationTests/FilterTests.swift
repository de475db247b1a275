// SPDX-License-Identifier: Apache-2.0
// Holds RT-51 of the realtime contract.

import Testing

@testable import MartletNotification

@Suite("Notification: filters of the change feed")
struct FilterTests {
    private static let columns = [
        FeedColumn(name: "id", type: "int8"), FeedColumn(name: "n", type: "numeric"),
        FeedColumn(name: "f", type: "float8"), FeedColumn(name: "b", type: "bool"),
        FeedColumn(name: "t", type: "text"), FeedColumn(name: "u", type: "uuid"),
        FeedColumn(name: "at", type: "timestamptz"), FeedColumn(name: "d", type: "date"),
        FeedColumn(name: "j", type: "jsonb"), FeedColumn(name: "mood", type: "mood", labels: ["sad", "ok", "happy"]),
        FeedColumn(name: "none", type: "int4"), FeedColumn(name: "c", type: "citext"),
    ]
    private static let row =
        #"{"id":46,"n":12345678901234567890.10,"f":1.5,"b":true,"t":"a,b","u":"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11","#
        + #""at":"2026-01-31T12:00:00.5+00:00","d":"2026-01-31","j":{"a":1},"mood":"ok","none":null,"c":"ÄbC"}"#

    private func matches(_ filter: String) throws -> Bool {
        let members = try #require(JSONSlices.members(of: Array(Self.row.utf8)[...]))
        let types = Dictionary(uniqueKeysWithValues: Self.columns.map { ($0.name, $0.type) })
        return try Filter(filter, columns: Self.columns).matches(members, types: types)
    }

    @Test(
        "Values are compared as their column's type",
        arguments: [
            ("", true), (" ", true), ("id=eq.46", true), ("id=eq.046", true), ("id=eq.4", false), ("id=neq.46", false),
            ("id=lt.100", true), ("id=gt.9", true), ("id=gte.46", true), ("id=lte.45", false),
            ("n=eq.12345678901234567890.1", true), ("n=gt.12345678901234567890.09", true), ("n=lt.-1", false),
            ("n=gt.9999", true), ("f=gt.1.25", true), ("f=lt.NaN", true), ("b=eq.t", true), ("b=eq.false", false),
            (#"t=eq."a,b""#, true), ("t=gt.B", true), ("u=eq.a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true),
            ("at=eq.2026-01-31T13:00:00.5+01:00", true), ("at=gt.2026-01-31 12:00:00Z", true),
            ("at=lt.2026-01-31T06:30:00-05:45", true), ("d=gte.2025-12-31", true), ("mood=gt.sad", true),
            ("mood=lt.happy", true), ("mood=eq.ok", true), ("none=eq.1", false), ("none=neq.1", false),
            ("id=in.(1,46)", true), ("id=in.(1,2)", false), (#"t=in.("x","a,b")"#, true), ("id=eq.46,b=eq.true", true),
            ("id=eq.46,b=eq.false", false), ("c=eq.äBc", true), (#"j=eq.{"a":1}"#, true),
        ])
    func comparisons(filter: String, expected: Bool) throws { #expect(try matches(filter) == expected) }

    @Test(
        "What cannot be a filter says so as the contract begins",
        arguments: [
            "id", "id=46", "id=eq", "id=like.4", "id=not.eq.4", "other=eq.1", "id=eq.x", "id=in.1", "id=in.(1,x)",
            "j=gt.1", "b=eq.maybe", #"t=eq."x"#, "id=in.(1", "d=eq.2026-13-01", "mood=eq.angry", "=eq.1",
        ])
    func errors(filter: String) {
        #expect {
            try Filter(filter, columns: Self.columns)
        } throws: { error in
            (error as? FilterError)?.message.hasPrefix("Error parsing `filter` params: ") == true
        }
    }

    @Test("Days and times are written in milliseconds and UTC")
    func moments() {
        #expect(Moment.text(microseconds: 1_769_860_800_123_456) == "2026-01-31T12:00:00.123Z")
        #expect(Moment.text(microseconds: 0) == "1970-01-01T00:00:00.000Z")
        #expect(Moment.text(microseconds: -1_000) == "1969-12-31T23:59:59.999Z")
        #expect(Moment.text(microseconds: 951_782_400_000_000) == "2000-02-29T00:00:00.000Z")
        #expect(Moment.microseconds("2026-01-31T12:00:00.123456", type: "timestamp") == 1_769_860_800_123_456)
        #expect(Moment.microseconds("24:00", type: "time") == 86_400_000_000)
        #expect(Moment.microseconds("2026-01-31T12:00", type: "date") == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A table of the application's database.
package struct TableName: Sendable, Hashable, CustomStringConvertible {
    package let schema: String
    package let name: String

    package init(schema: String, name: String) {
        self.schema = schema
        self.name = name
    }

    /// `schema.table`, or `table` of `public`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(schema: parts.count == 2 ? parts[0] : "public", name: parts[parts.count - 1])
    }

    package var description: String { "\(schema).\(name)" }
}

/// What happens to a row.
package enum RowEvent: String, SettingWord { case insert, update, delete }

/// `[martlet.rules.NAME]`: a function that is asked before a write (FN-24, D28).
package struct RuleEntry: Sendable, Equatable {
    package enum OnError: String, SettingWord { case reject, allow }

    /// A query of `/rest/v1` that the function gets to see, with `{column}` for values of the record.
    package struct Read: Sendable, Equatable {
        package let name: String
        package let query: String
    }

    package let name: String
    package let table: TableName
    package let events: [RowEvent]
    package let function: String
    package let deadline: Duration
    package let onError: OnError
    /// By name.
    package let reads: [Read]
    package let place: TablePlace

    init(_ reader: inout TableReader) {
        name = reader.name
        place = reader.place
        table = reader.takeTable()
        events = reader.takeEvents()
        function = reader.require("function", "")
        deadline = reader.take("deadline", .seconds(1), in: .milliseconds(10)...(.seconds(10)))
        onError = reader.take("on_error", .reject)
        reads = reader.takeTexts("reads").sorted { $0.key < $1.key }.map { Read(name: $0.key, query: $0.value) }
        reader.refuseRest()
    }
}

/// `[martlet.triggers.NAME]`: a function that hears of committed changes (FN-21).
package struct TriggerEntry: Sendable, Equatable {
    package enum Payload: String, SettingWord { case supabase, martlet }

    package let name: String
    package let table: TableName
    package let events: [RowEvent]
    package let function: String
    package let payload: Payload
    package let attemptsMax: Int
    package let place: TablePlace

    init(_ reader: inout TableReader) {
        name = reader.name
        place = reader.place
        table = reader.takeTable()
        events = reader.takeEvents()
        function = reader.require("function", "")
        payload = reader.take("payload", .supabase)
        attemptsMax = reader.take("attempts", 6, in: 1...100)
        reader.refuseRest()
    }
}

/// `[martlet.schedules.NAME]`: a function that is called at times (FN-22).
package struct ScheduleEntry: Sendable, Equatable {
    package enum Missed: String, SettingWord { case once, skip }
    package enum Overlap: String, SettingWord { case skip, queue }

    package let name: String
    /// Five fields, or `30 seconds`; whoever runs it checks it.
    package let cron: String
    /// Name of the tz database.
    package let timeZone: String
    package let function: String
    package let body: String
    package let missed: Missed
    package let overlap: Overlap
    package let place: TablePlace

    init(_ reader: inout TableReader) {
        name = reader.name
        place = reader.place
        cron = reader.require("cron", "")
        timeZone = reader.take("timezone", "UTC")
        function = reader.require("function", "")
        body = reader.take("body", "{}")
        missed = reader.take("missed", .once)
        overlap = reader.take("overlap", .skip)
        reader.refuseRest()
    }
}

extension TableReader {
    fileprivate mutating func takeTable() -> TableName {
        let text = require("table", "-") { TableName($0) == nil ? "expected table or schema.table" : nil }
        return TableName(text) ?? TableName(schema: "public", name: text)
    }

    fileprivate mutating func takeEvents() -> [RowEvent] {
        let words = require("on", [String]()) { words in
            words.isEmpty || !words.allSatisfy { RowEvent(rawValue: $0) != nil }
                ? "expected a list of insert, update, delete" : nil
        }
        return RowEvent.allCases.filter { words.contains($0.rawValue) }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// A schedule of config.toml that is none, in the words of its key.
struct ScheduleFault: Error {
    let message: String
}

extension Trigger {
    init(_ entry: TriggerEntry) {
        self.init(
            name: entry.name, schema: entry.table.schema, table: entry.table.name,
            operations: Set(entry.events.map { $0.rawValue.uppercased() }), function: entry.function,
            payload: entry.payload == .martlet ? .martlet : .supabase, attemptsMax: entry.attemptsMax)
    }
}

extension Schedule {
    init(_ entry: ScheduleEntry) throws(ScheduleFault) {
        guard let zone = Zone.named(entry.timeZone) else {
            throw ScheduleFault(
                message: entry.place.problem(
                    "timezone", "\(entry.timeZone): no zone of the system's tz database, such as Europe/Berlin"))
        }
        let timing: Timing
        do throws(CronExpression.Fault) { timing = try Timing(entry.cron, zone: zone) } catch {
            throw ScheduleFault(message: entry.place.problem("cron", error.message))
        }
        guard !entry.body.utf8.contains(0) else {
            throw ScheduleFault(message: entry.place.problem("body", "expected a text without NUL"))
        }
        self.init(
            name: entry.name, definition: "\(entry.cron)\n\(entry.timeZone)", timing: timing, function: entry.function,
            body: entry.body, missed: entry.missed == .skip ? .skip : .once,
            overlap: entry.overlap == .queue ? .queue : .skip)
    }
}

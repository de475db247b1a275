// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletTracing
internal import MartletWire

/// When each schedule is due next.
struct ScheduleStore: Sendable {
    let database: Database
    var tracer = Tracer.off

    struct Record: Sendable, Equatable {
        let name: String
        let nextAt: Moment
        let lastAt: Moment?

        var json: JSONValue {
            ["name": .string(name), "next_at": .string(nextAt.text), "last_at": lastAt.json]
        }
    }

    /// Makes the rows those of the project's schedules. One whose timing has changed begins anew from now.
    func adopt(_ schedules: [Schedule], now: Moment) async throws {
        try await database.write { session in
            for row in try session.query("select name from schedules") {
                guard let name = row[0].textValue, !schedules.contains(where: { $0.name == name }) else { continue }
                try session.execute("delete from schedules where name = $1", [.text(name)])
            }
            for schedule in schedules {
                guard let next = schedule.timing.next(after: now) else { continue }
                try session.execute(
                    """
                    insert into schedules (name, definition, next_at) values ($1, $2, $3) on conflict (name) do update \
                    set definition = excluded.definition, next_at = excluded.next_at \
                    where schedules.definition <> excluded.definition
                    """, [.text(schedule.name), .text(schedule.definition), .integer(next.microseconds)])
            }
        }
    }

    func list() async throws -> [Record] {
        try await database.read { session in
            try session.query("select name, next_at, last_at from schedules order by name").map { row in
                Record(
                    name: row[0].textValue ?? "", nextAt: Moment(microseconds: row[1].integerValue ?? 0),
                    lastAt: row[2].integerValue.map { Moment(microseconds: $0) })
            }
        }
    }

    /// What became of a time that was due.
    enum Firing: Sendable, Equatable {
        case fired
        /// The job of an earlier time has not ended.
        case overlapped
        /// No job is due.
        case passed
        /// Somebody else was first.
        case taken
    }

    /// Acts on a time once, whoever else tries to: only who moves the schedule on from this time makes its job, in the
    /// same transaction.
    func fire(_ schedule: Schedule, due: Moment, _ decision: Schedule.Decision, now: Moment) async throws -> Firing {
        try await database.write { session in
            let next = decision.next ?? Moment(microseconds: .max)
            let moved = try session.execute(
                """
                update schedules set next_at = $3, last_at = coalesce($4, last_at) where name = $1 and next_at = $2
                """,
                [
                    .text(schedule.name), .integer(due.microseconds), .integer(next.microseconds),
                    decision.fires.map { .integer($0.microseconds) } ?? .null,
                ])
            guard moved == 1 else { return .taken }
            guard let time = decision.fires else { return .passed }
            if schedule.overlap == .skip {
                let unfinished = try session.query(
                    "select 1 from jobs where source = 'schedule' and source_name = $1 and due_at is not null limit 1",
                    [.text(schedule.name)])
                guard unfinished.isEmpty else { return .overlapped }
            }
            // Nobody's request: here a trace begins.
            let span = tracer.beginTrace("schedule \(schedule.name)", .producer, .new())
            var job = schedule.job(at: time, now: now)
            job.trace = span.context
            try JobStore.insert(job, now: now, in: session)
            span.end { attributes in
                attributes.set(.messagingSystem, "martlet")
                attributes.set(.messagingOperation, "create")
                attributes.set(.messagingOperationType, "create")
                attributes.set(.messagingDestination, schedule.function)
                attributes.set(.messagingMessage, job.id)
            }
            return .fired
        }
    }
}

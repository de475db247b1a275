// SPDX-License-Identifier: Apache-2.0

@testable import MartletData
import MartletDatabase
import Testing

/// `cron.schedule()` and what runs its jobs, on PostgreSQL.
@Suite("Schedules of SQL")
struct CronTests {
    private func with(_ body: (PostgresEngine, Database) async throws -> Void) async throws {
        try await TestEngine.withPostgresDatabase { url in
            let engine = try await PostgresEngine.open(url: url, poolSize: 1)
            do {
                try await body(engine, engine.administration)
            } catch {
                await engine.close()
                throw error
            }
            await engine.close()
        }
    }

    private func texts(_ database: Database, _ sql: String) async throws -> [String?] {
        try await database.write { session in try session.query(sql).map { $0[0].textValue } }
    }

    private func ask(_ database: Database, _ schedule: String, _ at: String) async throws -> Bool {
        try await texts(database, "select martlet.cron_matches('\(schedule)', timestamp '\(at)')") == ["t"]
    }

    private static let matches: [(schedule: String, at: String, isDue: Bool)] = [
        ("* * * * *", "2026-11-29 16:05", true), ("5 16 * * *", "2026-11-29 16:05", true),
        ("5 16 * * *", "2026-11-29 16:06", false), ("*/15 * * * *", "2026-01-01 00:45", true),
        ("*/15 * * * *", "2026-01-01 00:50", false), ("10-20/5 * * * *", "2026-01-01 00:15", true),
        ("10-20/5 * * * *", "2026-01-01 00:25", false), ("7/20 * * * *", "2026-01-01 00:47", true),
        ("0 0,12 * * *", "2026-01-01 12:00", true), ("0 9 * * mon-fri", "2026-11-30 09:00", true),
        ("0 9 * * MON-FRI", "2026-11-29 09:00", false), ("0 9 * * 0", "2026-11-29 09:00", true),
        ("0 9 * * 7", "2026-11-29 09:00", true), ("0 0 29 feb *", "2024-02-29 00:00", true),
        ("0 0 $ * *", "2026-02-28 00:00", true), ("0 0 $ * *", "2024-02-28 00:00", false),
        // Where day and weekday are both restricted, either will do.
        ("0 0 13 * fri", "2026-11-13 00:00", true), ("0 0 13 * fri", "2026-11-20 00:00", true),
        ("0 0 13 * fri", "2026-11-21 00:00", false), ("@daily", "2026-11-21 00:00", true),
        ("@hourly", "2026-11-21 07:01", false), ("@yearly", "2026-01-01 00:00", true),
    ]

    @Test("Schedules are read as cron reads them")
    func schedules() async throws {
        try await with { _, database in
            for (schedule, at, isDue) in Self.matches {
                let answer = try await ask(database, schedule, at)
                #expect(answer == isDue, "\(schedule) at \(at)")
            }
        }
    }

    @Test("What is no schedule is refused when it is made")
    func wrong() async throws {
        try await with { _, database in
            for schedule in [
                "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *", "a * * * *",
                "5-1 * * * *", "*/0 * * * *", "30 seconds", "@reboot", "1;2 * * * *",
            ] {
                let error = await #expect(throws: DatabaseError.self) {
                    _ = try await texts(database, "select cron.schedule('x', '\(schedule)', 'select 1')")
                }
                #expect(error?.sqlState == "22023", "\(schedule)")
            }
            let jobs = try await texts(database, "select count(*)::text from cron.job")
            #expect(jobs == ["0"])
        }
    }

    @Test("A minute's jobs run once, as their user, whatever the others do")
    func runs() async throws {
        try await with { engine, database in
            try await database.write { session in
                try session.executeScript(
                    """
                    create table public.ran (what text, who text default current_user);
                    grant all on public.ran to postgres;
                    set local role postgres;
                    select cron.schedule('good', '* * * * *', $$insert into public.ran values ('good'); select 1$$);
                    select cron.schedule('bad', '* * * * *', $$insert into public.ran values ('bad'); select 1 / 0$$);
                    select cron.schedule('later', '0 5 * * *', $$insert into public.ran values ('later')$$);
                    select cron.schedule('off', '* * * * *', $$insert into public.ran values ('off')$$);
                    select cron.alter_job((select jobid from cron.job where jobname = 'off'), active => false);
                    select cron.schedule('more', '* * * * *', $$insert into public.ran values ('more')$$);
                    select cron.alter_job((select jobid from cron.job where jobname = 'more'), username => 'nobody_known');
                    select cron.schedule('gone', '* * * * *', $$insert into public.ran values ('gone')$$);
                    select cron.unschedule('gone');
                    select cron.schedule('good', '* * * * *', $$insert into public.ran values ('better')$$);
                    """)
            }
            try await database.write { session in
                try session.executeScript(
                    """
                    insert into cron.job (jobname, schedule, command, username)
                    values ('wrong', '30 seconds', 'select 1', 'postgres')
                    """)
            }
            let minute: Int64 = 1_796_000_040
            let first = try await engine.schedules.turn(minute: minute)
            #expect(first == 4)
            // Another replica comes late.
            let second = try await engine.schedules.turn(minute: minute)
            #expect(second == 0)
            let ran = try await texts(database, "select what || ' ' || who from public.ran")
            #expect(ran == ["better postgres"])
            let details = try await texts(
                database,
                """
                select jobname || ' ' || status || ' ' || (end_time is not null) || ' ' || return_message \
                from cron.job_run_details join cron.job using (jobid) order by jobname
                """)
            #expect(
                details == [
                    "bad failed true division by zero", "good succeeded true ",
                    "more failed true the job's user \"nobody_known\" is not allowed",
                    "wrong failed true invalid schedule: 30 seconds",
                ])
            let next = try await engine.schedules.turn(minute: minute + 60)
            #expect(next == 4)
        }
    }

    @Test("Requests have no part in it")
    func privileges() async throws {
        try await with { _, database in
            for role in ["anon", "authenticated", "service_role"] {
                let error = await #expect(throws: DatabaseError.self) {
                    try await database.write { session in
                        try session.executeScript("set local role \(role)")
                        try session.executeScript("select cron.schedule('* * * * *', 'drop schema public')")
                    }
                }
                #expect(error?.sqlState == "42501", "\(role)")
            }
        }
    }
}

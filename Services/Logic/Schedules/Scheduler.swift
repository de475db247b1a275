// SPDX-License-Identifier: Apache-2.0

internal import Logging

/// Makes the jobs of schedules whose time has come.
struct Scheduler: Sendable {
    let schedules: [Schedule]
    let store: ScheduleStore
    let metrics: JobMetrics
    let logger: Logger
    let clock: @Sendable () -> Moment
    /// Says that a job has come.
    let wake: @Sendable () -> Void

    /// How often the clock is looked at. Schedules are due at whole seconds.
    private static let interval = Duration.seconds(1)

    /// Until its task is cancelled.
    func run() async {
        guard !schedules.isEmpty else { return }
        while !Task.isCancelled {
            do { try await turn() } catch {
                if Task.isCancelled { return }
                logger.warning("Schedules cannot be looked at now.", metadata: ["error.detail": "\(error)"])
            }
            // Up to the next whole second: the clock may be set, so no longer time is slept through.
            let now = clock()
            let rest = Moment(seconds: now.seconds) + Self.interval - now
            try? await Task.sleep(for: rest + .milliseconds(5))
        }
    }

    /// Acts on everything that is due.
    func turn() async throws {
        let now = clock()
        for record in try await store.list() where record.nextAt <= now {
            guard let schedule = schedules.first(where: { $0.name == record.name }) else { continue }
            let decision = schedule.decide(due: record.nextAt, now: now)
            let metadata: Logger.Metadata = [
                "schedule.name": "\(schedule.name)", "schedule.due": "\(record.nextAt.text)",
            ]
            switch try await store.fire(schedule, due: record.nextAt, decision, now: now) {
            case .fired:
                metrics.count(.fired)
                wake()
            case .overlapped:
                metrics.count(.overlapped)
                logger.warning("A schedule is passed over: its job before has not ended.", metadata: metadata)
            case .passed, .taken: break
            }
            if decision.wasMissed {
                metrics.count(.missed)
                logger.warning("Times of a schedule were missed.", metadata: metadata)
            }
        }
    }
}

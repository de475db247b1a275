// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// What is counted of jobs, triggers and schedules.
struct JobMetrics: Sendable {
    private let registry: MetricsRegistry

    init(_ registry: MetricsRegistry) { self.registry = registry }

    /// How an attempt ended.
    enum Attempt: String { case done, again, dead, lost, interrupted }

    func count(_ attempt: Attempt) {
        registry.counter(
            "martlet_logic_job_attempts_total", "Calls of functions for jobs, by how they ended.",
            ["outcome": attempt.rawValue]
        ).increment()
    }

    func died() {
        registry.counter("martlet_logic_jobs_dead_total", "Jobs whose attempts were used up.").increment()
    }

    func set(_ count: Int64, of state: JobState) {
        registry.gauge("martlet_logic_jobs", "Jobs that are stored, by state.", ["state": state.rawValue]).set(count)
    }

    func triggered(_ count: Int) {
        registry.counter("martlet_logic_trigger_jobs_total", "Jobs that triggers made.").increment(by: UInt64(count))
    }

    func lostChanges() {
        registry.counter(
            "martlet_logic_trigger_losses_total", "Times that changes were no longer in the log when triggers asked."
        ).increment()
    }

    /// What became of a tick.
    enum Tick: String { case fired, missed, overlapped }

    func count(_ tick: Tick) {
        registry.counter(
            "martlet_logic_schedule_ticks_total", "Times that a schedule was due, by what became of them.",
            ["outcome": tick.rawValue]
        ).increment()
    }
}

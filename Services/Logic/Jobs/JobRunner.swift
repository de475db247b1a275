// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletServiceKit
internal import MartletTracing
internal import MartletWire
internal import NIOCore

/// Calls the functions of due jobs, and stores what came of it.
///
/// A job runs at least once: its lease ends when its process dies, and somebody else calls the function again. The
/// function is given the same `Idempotency-Key` each time, by which an effect through the data API exists once (D27).
struct JobRunner: Sendable {
    let store: JobStore
    let caller: any FunctionCaller
    let slots: JobSlots
    /// How long one call may take.
    let timeout: Duration
    let metrics: JobMetrics
    let logger: Logger
    let tracer: Tracer
    let clock: @Sendable () -> Moment
    /// How long nothing may wake it before it looks for due jobs anyway.
    let poll: Duration
    private let alarm = JobAlarm()
    private let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    /// Times that storing an outcome is tried before the lease is left to run out.
    private static let finishTriesMax = 5
    private static let pause = Duration.milliseconds(200)

    init(
        store: JobStore, caller: any FunctionCaller, slots: JobSlots, timeout: Duration, metrics: JobMetrics,
        logger: Logger, tracer: Tracer = .off, clock: @escaping @Sendable () -> Moment = { .now },
        poll: Duration = JobLimits.poll
    ) {
        self.store = store
        self.caller = caller
        self.slots = slots
        self.timeout = timeout
        self.metrics = metrics
        self.logger = logger
        self.tracer = tracer
        self.clock = clock
        self.poll = poll
        (wakes, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Says that a job may have come.
    func wake() { waker.yield() }

    /// Until its task is cancelled, which also gives up what runs.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await every(poll) { wake() } }
            group.addTask { await every(JobLimits.heartbeat) { await beat() } }
            group.addTask { await every(JobLimits.sweep) { await sweep() } }
            for await _ in wakes {
                let next = await takeDue { lease in
                    let given = slots.begin(lease)
                    group.addTask {
                        await run(lease, until: given)
                        slots.end(lease)
                        wake()
                    }
                }
                if let next, alarm.set(next) { group.addTask { await ring(at: next) } }
            }
            group.cancelAll()
        }
    }

    /// Begins no job any more, and returns when none runs; those that still do after `grace` are given up.
    func drain(within grace: Duration) async {
        let idle = slots.beginStopping()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in idle {} }
            group.addTask {
                try? await Task.sleep(for: grace)
                if !Task.isCancelled { slots.giveUp() }
            }
            await group.next()
            group.cancelAll()
        }
        for await _ in slots.beginStopping() {}
    }

    // MARK: Taking

    /// Returns when the next job is due, if that is before the runner looks anyway.
    private func takeDue(_ begin: (JobLease) -> Void) async -> Moment? {
        while !Task.isCancelled {
            let free = slots.free
            guard free.count > 0 else { return nil }
            do {
                // No function takes all the slots: a slow one would hold up the others.
                let now = clock()
                let taken = try await store.lease(
                    free.count, running: free.running, functionMax: max(1, slots.count / 2),
                    inHand: slots.leases.map(\.id), now: now)
                for job in taken.died { died(job) }
                for lease in taken.leases { begin(lease) }
                if taken.leases.isEmpty { return taken.next.flatMap { $0 - now < poll ? $0 : nil } }
            } catch {
                complain("Jobs cannot be taken now.", error)
                return nil
            }
        }
        return nil
    }

    private func ring(at time: Moment) async {
        try? await Task.sleep(for: time - clock())
        alarm.rang(time)
        wake()
    }

    private func beat() async {
        let leases = slots.leases
        guard !leases.isEmpty else { return }
        do { slots.giveUp(try await store.extend(leases, now: clock())) } catch {
            complain("Leases of jobs cannot be extended now.", error)
        }
    }

    private func sweep() async {
        do {
            while try await store.removeFinished(now: clock()) {}
            let counts = try await store.counts()
            for state in JobState.allCases { metrics.set(counts[state] ?? 0, of: state) }
        } catch { complain("Finished jobs cannot be removed now.", error) }
    }

    // MARK: Running

    private func run(_ lease: JobLease, until given: AsyncStream<Never>) async {
        let outcome = await withTaskGroup(of: JobOutcome?.self) { group in
            group.addTask { await call(lease.job) }
            group.addTask {
                for await _ in given {}
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        // What is stored now must be stored though the task was cancelled; it ends here.
        await Task { [self] in
            if let outcome { await finish(lease, outcome) } else { await giveBack(lease) }
        }.value
    }

    private func call(_ job: Job) async -> JobOutcome? {
        let span = tracer.begin("process \(job.new.function)", .consumer, in: job.new.trace)
        // Without a span of ours an attempt is still a place of its own.
        let outcome = await call(job, in: span.isRecording ? span.context : job.new.trace.child())
        let error = outcome.map { $0.isSuccess ? nil : $0.status.map { String($0) } ?? "no_answer" } ?? "given_up"
        span.end(error: error) { attributes in
            attributes.set(.messagingSystem, "martlet")
            attributes.set(.messagingOperation, "process")
            attributes.set(.messagingOperationType, "process")
            attributes.set(.messagingDestination, job.new.function)
            attributes.set(.messagingMessage, job.id)
            attributes.set(.attempt, job.attempt)
        }
        return outcome
    }

    private func call(_ job: Job, in trace: TraceContext) async -> JobOutcome? {
        var headers = job.new.headers
        if !headers.contains(where: { $0.name == "content-type" }) {
            headers.append(HTTPField("content-type", "application/json"))
        }
        headers += [
            HTTPField("idempotency-key", job.id), HTTPField("x-martlet-job-id", job.id),
            HTTPField("x-martlet-attempt", String(job.attempt)),
        ]
        let request = FunctionRequest(
            method: "POST", target: "/\(job.new.function)", headers: headers, body: ByteBuffer(string: job.new.body),
            trace: trace)
        do throws(FunctionFailure) {
            let response = try await caller.call(job.new.function, request, deadline: .now + timeout)
            var outcome = JobOutcome(status: Int(response.status))
            guard !outcome.isSuccess else { return outcome }
            outcome.error = Self.short(String(buffer: response.body))
            outcome.retryAfter = response.headers.first { $0.name.lowercased() == "retry-after" }
                .flatMap { JobOutcome.retryAfter($0.value, now: clock()) }
            return outcome
        } catch {
            if Task.isCancelled { return nil }
            let detail = error.detail.isEmpty ? error.code.message : error.detail
            return JobOutcome(error: Self.short("\(error.code.rawValue): \(detail)"))
        }
    }

    /// As it can be stored: PostgreSQL's texts hold no NUL.
    private static func short(_ text: String) -> String {
        String(text.prefix(JobLimits.errorCharactersMax)).replacing("\0", with: "\u{FFFD}")
    }

    private func finish(_ lease: JobLease, _ outcome: JobOutcome) async {
        let job = lease.job
        let verdict = JobVerdict(
            outcome, attempt: job.attempt, attemptsMax: job.new.attemptsMax, jitter: .random(in: 0.5...1.5))
        for attempt in 1...Self.finishTriesMax {
            do {
                switch try await store.finish(lease, outcome, verdict, now: clock()) {
                case .lost: return lost(job)
                case .finished: break
                case .disabledTrigger(let name):
                    logger.error(
                        "A trigger is disabled, since its function says that it is gone.",
                        metadata: ["trigger.name": "\(name)", "function.name": "\(job.new.function)"])
                }
                return tell(job, outcome, verdict)
            } catch {
                complain("The outcome of a job cannot be stored now.", error)
                try? await Task.sleep(for: Self.pause * attempt)
            }
        }
    }

    private func tell(_ job: Job, _ outcome: JobOutcome, _ verdict: JobVerdict) {
        switch verdict {
        case .done:
            metrics.count(.done)
            logger.with(job.new.trace).info("A job is done.", metadata: metadata(job, outcome))
        case .again(let wait):
            metrics.count(.again)
            logger.with(job.new.trace).info(
                "An attempt of a job has failed; it is tried again.",
                metadata: metadata(job, outcome, ["job.wait": "\(wait)"]))
        case .dead:
            metrics.count(.dead)
            var dead = job
            (dead.lastStatus, dead.lastError) = (outcome.status, outcome.error)
            died(dead)
        }
    }

    private func died(_ job: Job) {
        metrics.died()
        logger.with(job.new.trace).error(
            "A job is dead: its attempts are used up. It can be sent again.",
            metadata: metadata(job, JobOutcome(status: job.lastStatus, error: job.lastError)))
    }

    private func lost(_ job: Job) {
        metrics.count(.lost)
        logger.with(job.new.trace).warning(
            "A job was lost while it ran: it was cancelled, or another lease holds it.", metadata: metadata(job))
    }

    /// The job is no longer ours, or this process ends.
    private func giveBack(_ lease: JobLease) async {
        do {
            if try await store.giveBack(lease, now: clock()) {
                metrics.count(.interrupted)
                logger.with(lease.job.new.trace).info("A job was interrupted; it begins again.", metadata: metadata(lease.job))
            } else {
                lost(lease.job)
            }
        } catch { complain("An interrupted job cannot be given back now.", error) }
    }

    // MARK: Helpers

    private func metadata(
        _ job: Job, _ outcome: JobOutcome? = nil, _ more: Logger.Metadata = [:]
    ) -> Logger.Metadata {
        var metadata = more
        metadata["job.id"] = "\(job.id)"
        metadata["function.name"] = "\(job.new.function)"
        metadata["job.attempt"] = "\(job.attempt)"
        if let status = outcome?.status { metadata["http.status"] = "\(status)" }
        if let error = outcome?.error { metadata["error.detail"] = "\(error)" }
        return metadata
    }

    private func complain(_ sentence: Logger.Message, _ error: any Error) {
        if error is CancellationError || Task.isCancelled { return }
        logger.warning(sentence, metadata: ["error.detail": "\(error)"])
    }

    private func every(_ interval: Duration, _ body: () async -> Void) async {
        while !Task.isCancelled {
            await body()
            try? await Task.sleep(for: interval)
        }
    }
}

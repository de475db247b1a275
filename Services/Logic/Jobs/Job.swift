// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Where a job came from, with a name where it has one.
enum JobSource: Sendable, Equatable {
    /// The admin route.
    case request
    case trigger(String)
    case schedule(String)

    /// As it is stored and shown.
    var kind: String {
        switch self {
        case .request: "request"
        case .trigger: "trigger"
        case .schedule: "schedule"
        }
    }

    var name: String {
        switch self {
        case .request: ""
        case .trigger(let name), .schedule(let name): name
        }
    }

    init(kind: String, name: String) {
        switch kind {
        case "trigger": self = .trigger(name)
        case "schedule": self = .schedule(name)
        default: self = .request
        }
    }
}

enum JobState: String, Sendable, CaseIterable {
    /// Waits for its time, or for an earlier one of its ordering key.
    case queued
    case running
    case done
    /// All its attempts failed.
    case dead
    case cancelled
}

/// A call of a function that is to happen, until it has succeeded or its attempts are used up.
struct NewJob: Sendable, Equatable {
    /// A UUID; inserting a job whose id is there changes nothing.
    var id: String
    var function: String
    var source: JobSource
    var headers: [HTTPField]
    /// UTF-8 without NUL, which PostgreSQL's text cannot hold.
    var body: String
    /// Jobs of one key run one after the other, in the order in which they came.
    var orderingKey: String?
    /// Not before.
    var runAt: Moment
    var attemptsMax: Int
    /// What caused it.
    var trace: TraceContext

    init(
        id: String, function: String, source: JobSource, headers: [HTTPField] = [], body: String,
        orderingKey: String? = nil, runAt: Moment, attemptsMax: Int = JobLimits.attempts, trace: TraceContext = .none
    ) {
        self.id = id
        self.function = function
        self.source = source
        self.headers = headers
        self.body = body
        self.orderingKey = orderingKey
        self.runAt = runAt
        self.attemptsMax = attemptsMax
        self.trace = trace
    }
}

/// A job as it is stored.
struct Job: Sendable, Equatable {
    var new: NewJob
    /// In the order in which jobs were committed.
    var number: Int64
    var state: JobState
    /// How often it was begun.
    var attempt: Int
    /// Rises with every lease; who has an older one has lost the job.
    var fence: Int64
    var createdAt: Moment
    var leaseUntil: Moment?
    var finishedAt: Moment?
    var lastStatus: Int?
    var lastError: String?

    var id: String { new.id }
}

/// One time that a job's function was called.
struct JobAttempt: Sendable, Equatable {
    var jobID: String
    var attempt: Int
    var function: String
    var source: JobSource
    var startedAt: Moment
    var finishedAt: Moment?
    var status: Int?
    var error: String?
}

/// The right to run a job, as it was leased.
struct JobLease: Sendable, Equatable {
    let job: Job
    var id: String { job.id }
    var fence: Int64 { job.fence }
}

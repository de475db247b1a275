// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

extension Job {
    /// As the admin routes show it in a list.
    var json: JSONObject {
        [
            "id": .string(id), "number": .integer(number), "function": .string(new.function),
            "source": .string(new.source.kind), "source_name": .string(new.source.name),
            "state": .string(state.rawValue), "attempt": .integer(attempt), "attempts_max": .integer(new.attemptsMax),
            "ordering_key": new.orderingKey.map { .string($0) } ?? .null, "run_at": .string(new.runAt.text),
            "created_at": .string(createdAt.text), "finished_at": finishedAt.json,
            "http_status": lastStatus.map { .integer($0) } ?? .null, "error": lastError.map { .string($0) } ?? .null,
            "request_id": .string(new.trace.requestID),
            "trace_id": new.trace.traceID.map { .string(String($0)) } ?? .null,
        ]
    }
}

extension JobAttempt {
    /// As `executions` shows it (FN-25).
    var json: JSONObject {
        let trigger =
            switch source {
            case .request: "queue"
            case .trigger: "event"
            case .schedule: "schedule"
            }
        let isSuccess = status.map { (200..<300).contains($0) } ?? false
        return [
            "id": .string("\(jobID)/\(attempt)"), "job_id": .string(jobID), "function": .string(function),
            "trigger": .string(trigger), "trigger_name": .string(source.name),
            "status": .string(finishedAt == nil ? "running" : isSuccess ? "succeeded" : "failed"),
            "http_status": status.map { .integer($0) } ?? .null, "error": error.map { .string($0) } ?? .null,
            "started_at": .string(startedAt.text), "finished_at": finishedAt.json,
            "duration_ms": finishedAt.map { .integer(($0.microseconds - startedAt.microseconds) / 1_000) } ?? .null,
        ]
    }
}

extension Moment? {
    var json: JSONValue { map { .string($0.text) } ?? .null }
}

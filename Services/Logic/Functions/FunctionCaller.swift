// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOCore

/// Calls functions of the project by name.
protocol FunctionCaller: Sendable {
    /// The function's answer, whatever its status; throws when there is none. Cancelling the task gives the call up.
    func call(
        _ name: String, _ request: FunctionRequest, deadline: ContinuousClock.Instant
    ) async throws(FunctionFailure) -> FunctionResponse
}

/// What a function is sent.
struct FunctionRequest: Sendable {
    var method: String
    /// Path and query; begins with `/<name>`.
    var target: String
    var headers: [HTTPField]
    var body: ByteBuffer
    /// What the call belongs to; it becomes the fields `x-request-id` and `traceparent`.
    var trace = TraceContext.none
}

/// What a function answered.
struct FunctionResponse: Sendable {
    var status: UInt16
    var headers: [HTTPField]
    var body: ByteBuffer
}

/// The platform failed before or instead of the function (section 2 of the functions contract).
struct FunctionFailure: Error, Sendable, Equatable {
    /// Codes are for programs; `docs/errors.md` lists them.
    enum Code: String, Sendable, CaseIterable {
        case notFound = "NOT_FOUND"
        /// The worker cannot start, or the upstream refuses connections.
        case bootError = "BOOT_ERROR"
        /// It ended, or broke the protocol, before the whole answer was there.
        case workerError = "WORKER_ERROR"
        /// A limit of memory, processor time or output.
        case workerLimit = "WORKER_LIMIT"
        /// No whole answer in time.
        case idleTimeout = "IDLE_TIMEOUT"
        /// The queue is full.
        case tooManyRequests = "TOO_MANY_REQUESTS"
        case payloadTooLarge = "PAYLOAD_TOO_LARGE"
        /// Calls of functions by functions are nested too deeply.
        case loopDetected = "LOOP_DETECTED"

        var status: UInt16 {
            switch self {
            case .notFound: 404
            case .bootError: 503
            case .workerError: 500
            case .workerLimit: 546
            case .idleTimeout: 504
            case .tooManyRequests: 429
            case .payloadTooLarge: 413
            case .loopDetected: 508
            }
        }

        /// For clients; says nothing about the inside.
        var message: String {
            switch self {
            case .notFound: "Requested function was not found"
            case .bootError: "Function failed to start (please check logs)"
            case .workerError: "Function exited due to an error (please check logs)"
            case .workerLimit:
                "Function failed due to not having enough compute resources (please check logs)"
            case .idleTimeout: "The function did not answer in time"
            case .tooManyRequests: "Too many requests are in hand for this function"
            case .payloadTooLarge: "The request body is too large"
            case .loopDetected: "Functions call each other too deeply"
            }
        }
    }

    var code: Code
    /// Whether the head of the request may have reached the worker: if not, the call had no effect.
    var wasDelivered: Bool
    /// For operators.
    var detail = ""
}

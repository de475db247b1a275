// SPDX-License-Identifier: Apache-2.0

/// Why a process cannot start: one line for the person who started it, and the exit status.
package struct StartFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Exit statuses, as sysexits.h has them.
    package enum Status: Int32, Sendable {
        case usage = 64
        /// A port that is taken.
        case unavailable = 69
        case internalError = 70
        case cannotCreate = 73
        case alreadyRunning = 75
        case configuration = 78
    }

    package let status: Status
    package let message: String
    package var description: String { message }

    package init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// What a person reads of any error; one of another kind has status `internalError`.
    package init(_ error: any Error) {
        self = error as? StartFailure ?? StartFailure(.internalError, ServiceHost.text(of: error))
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// The one error of the bus.
package struct BusError: Error, Sendable, Equatable {
    package var code: ErrorCode
    /// Whether the request's effect happened, as far as anybody knows.
    package var executed: Executed
    /// Advice of the refusing side; 0 without one.
    package var retryAfterMilliseconds: UInt32
    /// Text for operators; never shown to clients.
    package var message: String

    package init(_ code: ErrorCode, executed: Executed, retryAfterMilliseconds: UInt32 = 0, _ message: String = "") {
        self.code = code
        self.executed = executed
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.message = message
    }
}

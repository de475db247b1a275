// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc

/// A libzmq or system call that failed, with its error number read at once.
struct ZeroMQError: Error, Equatable {
    /// The C function.
    let call: String
    /// `errno`, or one of libzmq's own numbers.
    let number: Int32

    init(_ call: String, number: Int32 = zmq_errno()) {
        self.call = call
        self.number = number
    }

    /// The socket can take or give nothing now.
    var isWouldBlock: Bool { number == EAGAIN }
    /// A signal arrived; the call may be repeated.
    var isInterrupted: Bool { number == EINTR }
    /// The peer behind a routing id is gone (`ZMQ_ROUTER_MANDATORY`).
    var isUnreachable: Bool { number == EHOSTUNREACH }

    /// Text for operators, such as `zmq_bind: Address already in use`.
    var description: String {
        guard let text = unsafe zmq_strerror(number) else { return "\(call): error \(number)" }
        return unsafe "\(call): \(String(cString: text))"
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ

/// The library's context: its one I/O thread and the `inproc` name space. Owned by one bus thread.
@safe
struct ZeroMQContext: ~Copyable {
    private let raw: UnsafeMutableRawPointer

    init() throws(ZeroMQError) {
        guard let raw = unsafe zmq_ctx_new() else { throw ZeroMQError("zmq_ctx_new") }
        unsafe self.raw = unsafe raw
        // The library's default of 1,023 would be reached by three links and their monitors each in a large deployment.
        _ = unsafe zmq_ctx_set(raw, ZMQ_MAX_SOCKETS, 16_384)
        // Closing waits for nothing: what was not sent is settled by the protocol, not by lingering.
        _ = unsafe zmq_ctx_set(raw, ZMQ_BLOCKY, 0)
    }

    /// Makes a socket. The caller's thread becomes its only user and closes it before the context ends.
    func makeSocket(_ kind: ZeroMQSocket.Kind) throws(ZeroMQError) -> ZeroMQSocket {
        guard let socket = unsafe zmq_socket(raw, kind.rawValue) else { throw ZeroMQError("zmq_socket") }
        return try unsafe ZeroMQSocket(adopting: socket, kind: kind)
    }

    /// Ends the context. Waits until the library has let go of every closed socket, so only the bus thread calls it,
    /// last of all; nothing depends on its return.
    consuming func terminate() {
        unsafe _ = zmq_ctx_term(raw)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The two streams of a command: answers go to standard output, complaints to standard error.
enum Console {
    static func print(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

    static func print(bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    static func complain(_ text: String) { write(Array("martlet: \(text)\n".utf8), to: STDERR_FILENO) }

    /// At once and without a buffer: a script may wait for the line. Who does not listen misses it.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

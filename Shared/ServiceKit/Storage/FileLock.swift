// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// An advisory lock on a file, held until it is released or the process ends, however it ends.
package struct FileLock: ~Copyable {
    private let descriptor: Int32

    /// Who holds a lock, if it says so.
    package struct Held: Error, Sendable, Equatable { package let process: String }

    /// Takes the lock; waits for it if `waiting`. The holder's process number is written into the file.
    package init(path: String, waiting: Bool = false) throws {
        // Outside of the initialiser: one that throws after its last property is set runs `deinit`, a second close.
        descriptor = try Self.descriptor(ofLocked: path, waiting: waiting)
    }

    private static func descriptor(ofLocked path: String, waiting: Bool) throws -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PosixFile.Failure(path: path, number: errno, call: "open") }
        while flock(descriptor, waiting ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let number = errno
            close(descriptor)
            guard number == EWOULDBLOCK else { throw PosixFile.Failure(path: path, number: number, call: "flock") }
            throw Held(process: try PosixFile.read(path, bytesMax: 4_096)?.trimmingLine() ?? "")
        }
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count else {
            let failure = PosixFile.Failure(path: path, number: errno, call: "write")
            close(descriptor)
            throw failure
        }
        return descriptor
    }

    deinit { close(descriptor) }
}

extension String {
    fileprivate func trimmingLine() -> String { String(prefix { $0 != "\n" }) }
}

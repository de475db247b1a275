// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletWire

/// Small files that hold keys: mode 0600 or refused (D8).
enum KeyFile {
    private static let bytesMax = 1 << 20

    /// The file's text without the spaces around it.
    static func read(_ path: String, isSecret: Bool) throws(BusError) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { _ = close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure("fstat", path) }
        if isSecret, status.st_mode & 0o077 != 0 {
            throw BusError(.internalError, executed: .no, "\(path): others may read it; its mode must be 0600")
        }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < bytesMax {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { break }
            bytes.append(contentsOf: piece.prefix(count))
        }
        var text = Substring(String(decoding: bytes, as: UTF8.self))
        while let last = text.last, last.isWhitespace { text.removeLast() }
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        return String(text)
    }

    /// Writes a new file beside the old one and puts it in its place.
    static func write(_ path: String, _ text: String) throws(BusError) {
        let temporary = path + ".new"
        _ = unsafe unlink(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("open", temporary) }
        let bytes = Array(text.utf8)
        let count = unsafe Glibc.write(descriptor, bytes, bytes.count)
        let isWritten = count == bytes.count && fsync(descriptor) == 0
        let reason = errno
        _ = close(descriptor)
        guard isWritten else { throw failure("write", temporary, reason) }
        guard unsafe rename(temporary, path) == 0 else { throw failure("rename", path) }
    }

    private static func failure(_ call: String, _ path: String, _ number: Int32 = errno) -> BusError {
        guard let text = unsafe strerror(number) else {
            return BusError(.internalError, executed: .no, "\(call) \(path): error \(number)")
        }
        return unsafe BusError(.internalError, executed: .no, "\(call) \(path): \(String(cString: text))")
    }
}

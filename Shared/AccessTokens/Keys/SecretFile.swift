// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A small text file that only its owner may read. Wider modes are refused (D8).
struct SecretFile {
    private static let bytesMax = 64 * 1024

    let path: String

    /// The file's text; nil if there is none.
    func read() throws(KeyError) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("cannot be opened")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be examined") }
        guard status.st_mode & 0o077 == 0 else {
            throw KeyError("\(path) must have mode 0600: others may read it")
        }
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if got < 0 {
                if errno == EINTR { continue }
                throw failure("cannot be read")
            }
            if got == 0 { break }
            count += got
        }
        guard count < bytes.count, let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw KeyError("\(path) is no text of less than \(Self.bytesMax) bytes")
        }
        return text
    }

    /// The file's text, written first by `content` if there is no file. When several processes start at once, one of
    /// them creates it and all read the same.
    func readOrCreate(_ content: () -> String) throws(KeyError) -> String {
        if let text = try read() { return text }
        try create(content())
        guard let text = try read() else { throw KeyError("\(path) vanished") }
        return text
    }

    /// Writes the whole file under a name of its own, then links it into place: nobody sees half of it, and a file
    /// that is there already stays.
    private func create(_ text: String) throws(KeyError) {
        let draft = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max))"
        try write(text, to: draft)
        defer { unlink(draft) }
        guard link(draft, path) == 0 || errno == EEXIST else { throw failure("cannot be created") }
    }

    /// Puts `text` in place of whatever the file holds, in one step.
    func replace(_ text: String) throws(KeyError) {
        let draft = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max))"
        try write(text, to: draft)
        guard rename(draft, path) == 0 else {
            let error = failure("cannot be replaced")
            unlink(draft)
            throw error
        }
    }

    private func write(_ text: String, to draft: String) throws(KeyError) {
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot be created") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("cannot be written")
            }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw failure("cannot be written") }
    }

    private func failure(_ what: String) -> KeyError {
        KeyError("\(path) \(what): \(String(cString: strerror(errno)))")
    }
}

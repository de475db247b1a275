// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletJSON
internal import MartletSMTP
internal import MartletServiceKit

/// Development without an SMTP server: a mail becomes the file `<delivery>.eml` in the data directory, for people and
/// their tests, and beside it `<delivery>.json` for the page that lists them.
struct MailCatcher: Sendable {
    /// The data directory's `mail`.
    let folder: String

    /// Blocks until the files are durable.
    func take(_ message: MailMessage) -> SMTPOutcome {
        var summary: JSONObject = [
            "id": .string(message.id), "to": .string(message.to.text), "date": .integer(message.date),
        ]
        for (name, value) in message.content.document.objectValue?.members ?? [] { summary[name] = value }
        do {
            try write(Array(summary.text.utf8), to: "\(message.id).json")
            // Last, because whoever waits for a mail waits for this file.
            try write(message.bytes, to: "\(message.id).eml")
        } catch { return .failed("\(error)") }
        forgetOldest()
        return .accepted
    }

    /// What was caught, newest first.
    func list() -> [JSONValue] {
        deliveries().prefix(MailLimits.listedMax).compactMap { mail($0.id) }
    }

    /// One mail; nil when there is none of this id.
    func mail(_ id: String) -> JSONValue? {
        // The id comes from a URL: nothing in it may lead elsewhere.
        guard id.utf8.count == 36, id.utf8.allSatisfy({ "0123456789abcdef-".utf8.contains($0) }),
            let file = fopen("\(folder)/\(id).json", "re")
        else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return try? JSONValue(parsing: bytes)
    }

    private struct CaughtFile {
        let id: String
        let seconds: Int
        let nanoseconds: Int
    }

    private func deliveries() -> [CaughtFile] {
        var found: [CaughtFile] = []
        for name in PosixFile.names(in: folder) {
            var status = stat()
            guard name.hasSuffix(".eml"), stat("\(folder)/\(name)", &status) == 0 else { continue }
            found.append(
                CaughtFile(
                    id: String(name.dropLast(4)), seconds: status.st_mtim.tv_sec,
                    nanoseconds: status.st_mtim.tv_nsec))
        }
        return found.sorted { ($0.seconds, $0.nanoseconds) > ($1.seconds, $1.nanoseconds) }
    }

    private func forgetOldest() {
        for old in deliveries().dropFirst(MailLimits.caughtMax) {
            unlink("\(folder)/\(old.id).json")
            unlink("\(folder)/\(old.id).eml")
        }
    }

    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The whole file or none of it, there after a loss of power too.
    private func write(_ bytes: [UInt8], to name: String) throws(Failure) {
        let draft = "\(folder)/\(name).new"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("open", draft) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                let failure = failure("write", draft)
                Glibc.close(descriptor)
                unlink(draft)
                throw failure
            }
            rest = rest.dropFirst(count)
        }
        let isSynced = fsync(descriptor) == 0
        Glibc.close(descriptor)
        guard isSynced, rename(draft, "\(folder)/\(name)") == 0 else { throw failure("rename", draft) }
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("open", folder) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw failure("fsync", folder) }
    }

    private func failure(_ call: String, _ path: String) -> Failure {
        Failure(description: "\(path): \(call): error \(errno)")
    }
}

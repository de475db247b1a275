// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletDatabase
internal import MartletServiceKit
internal import MartletWire

/// A file of lines, and beside it `FILE.cursor`, which says how far it has come: each entry is in the file once, however
/// often the process is killed.
///
/// A transaction of the cursor's database cuts the file to the length that the last one left, writes the new lines, has
/// them on the disk, and commits cursor and length. What a killed process wrote without committing is cut off by the
/// next one, which then writes the very same lines.
final class EventFile: EventSink {
    private let path: String
    private let database: Database
    private let lock: HeldLock
    private let consumer = LogConsumer(name: "file", stream: "rows")

    private static let migrations = [
        Migration(
            number: 1, name: "cursor",
            sql: LogConsumer.table + "create table file (bytes bigint not null); insert into file values (0);")
    ]

    /// Throws `StartFailure`: another process writes the file, it was not made by this command, or it is shorter than it
    /// was left.
    init(_ path: String) async throws {
        let path = PosixFile.absolute(path)
        self.path = path
        let state = path + ".cursor"
        do { lock = HeldLock(try FileLock(path: state + ".lock")) } catch let held as FileLock.Held {
            throw StartFailure(.alreadyRunning, "\(path): process \(held.process) writes this file.")
        } catch { throw StartFailure(.cannotCreate, "\(error)") }
        let isNew = !PosixFile.exists(state)
        let length = Self.length(of: path) ?? 0
        guard !isNew || length == 0 else {
            throw StartFailure(
                .cannotCreate,
                "\(path): has content, and \(state) is not there: no file of this command. Name another one.")
        }
        do {
            database = try Database(DatabaseConfiguration(location: .sqlite(path: state), readers: 1))
            try await database.migrate(Self.migrations)
            let kept = try await database.read { try Self.bytes($0) }
            guard length >= kept else {
                throw StartFailure(
                    .cannotCreate,
                    "\(path): has \(length) bytes where \(kept) were written. Move it and \(state) away to begin anew.")
            }
        } catch let error as DatabaseError {
            throw StartFailure(.cannotCreate, "\(state): \(error.message)")
        }
    }

    func close() async { await database.close() }

    func cursor() async throws -> LogCursor? {
        try await database.read { [consumer] in try consumer.cursor(in: $0) }
    }

    func start(at cursor: LogCursor, after last: LogCursor?) async throws {
        try await database.write { [self] session in
            try extend(with: last.map { EventLine.gap(after: $0, before: cursor) } ?? [], session)
            try consumer.start(at: cursor, in: session)
        }
    }

    func append(_ entries: [Martlet_Wire_V1_LogEntry], epoch: Int64) async throws {
        let entries = entries.map { (sequence: Int64(clamping: $0.sequence), entry: $0) }
        try await database.write { [self] session in
            var lines: [UInt8] = []
            try consumer.apply(entries, epoch: epoch, in: session) {
                lines.append(contentsOf: EventLine.line($0, epoch: epoch))
            }
            try extend(with: lines, session)
        }
    }

    /// May run more than once for the same lines, and does the same each time.
    private func extend(with lines: [UInt8], _ session: DatabaseSession) throws {
        let length = try Self.bytes(session)
        try Self.write(lines, to: path, at: length)
        try session.execute("update file set bytes = $1", [.integer(length + Int64(lines.count))])
    }

    private static func bytes(_ session: DatabaseSession) throws -> Int64 {
        try session.query("select bytes from file").first?[0].integerValue ?? 0
    }

    private static func length(of path: String) -> Int64? {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_size) : nil
    }

    /// Leaves the file with `length` bytes of before and `lines`, on the disk.
    private static func write(_ lines: [UInt8], to path: String, at length: Int64) throws(PosixFile.Failure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw PosixFile.Failure(path: path, number: errno, call: "open") }
        defer { Glibc.close(descriptor) }
        guard ftruncate(descriptor, off_t(length)) == 0 else {
            throw PosixFile.Failure(path: path, number: errno, call: "ftruncate")
        }
        var rest = lines[...]
        var place = length
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(place)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw PosixFile.Failure(path: path, number: errno, call: "write") }
            rest = rest.dropFirst(count)
            place += Int64(count)
        }
        guard fsync(descriptor) == 0 else { throw PosixFile.Failure(path: path, number: errno, call: "fsync") }
        // The name of a new file has to last as well.
        if length == 0 { syncFolder(of: path) }
    }

    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = fsync(descriptor)
        _ = Glibc.close(descriptor)
    }
}

/// The lock of the file, for as long as the object lives.
private final class HeldLock: Sendable {
    private let lock: FileLock
    init(_ lock: consuming FileLock) { self.lock = lock }
}

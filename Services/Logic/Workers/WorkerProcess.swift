// SPDX-License-Identifier: Apache-2.0

internal import CProcess
internal import Glibc
internal import MartletServiceKit

/// What a worker is started with.
struct WorkerCommand: Sendable {
    /// From the root on.
    var program: String
    var arguments: [String]
    var environment: [String: String]
    var folder: String
    /// What no log line shows.
    var secrets: [String] = []
    /// Bytes; nil for no bound.
    var addressSpaceMax: UInt64?
    /// Open files.
    var filesMax: UInt64 = 4_096
}

/// A process of ours and the group that it leads.
struct WorkerProcess: Sendable {
    enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)

        var text: String {
            switch self {
            case .exited(Int32(MARTLET_EXEC_FAILED)): "it could not be run"
            case .exited(let status): "exit status \(status)"
            case .signalled(let number): "signal \(number)"
            }
        }
    }

    struct Failure: Error { let reason: String }

    let number: pid_t
    /// Read ends of the pipes, which do not block.
    let output: Int32
    let error: Int32

    /// Call it from a thread that lives as long as the process shall.
    static func start(_ command: WorkerCommand) throws(Failure) -> WorkerProcess {
        let output = try pipe()
        let error: (read: Int32, write: Int32)
        do throws(Failure) { error = try pipe() } catch {
            close(output.read)
            close(output.write)
            throw error
        }
        let number = withCStrings([command.program] + command.arguments) { words in
            withCStrings(command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }) { variables in
                martlet_spawn_worker(
                    command.program, words, variables, command.folder, output.write, error.write,
                    command.addressSpaceMax ?? 0, command.filesMax)
            }
        }
        let reason = PosixFile.text(of: errno)
        close(output.write)
        close(error.write)
        guard number > 0 else {
            close(output.read)
            close(error.read)
            throw Failure(reason: "fork: \(reason)")
        }
        return WorkerProcess(number: number, output: output.read, error: error.read)
    }

    /// How it ended, once; nil while it runs. Afterwards its number may be anybody's.
    func reap() -> End? {
        var status: Int32 = 0
        guard waitpid(number, &status, WNOHANG) == number else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }

    /// To the whole group.
    func signal(_ number: Int32) { _ = Glibc.kill(-self.number, number) }

    func closePipes() {
        close(output)
        close(error)
    }

    private static func pipe() throws(Failure) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw Failure(reason: "pipe: \(PosixFile.text(of: errno))") }
        // The worker closes what it does not need itself; others that this process may start must not hold these.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        return (ends[0], ends[1])
    }

    /// Lends texts as C wants them, with a null pointer at the end.
    private static func withCStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import CProcess
internal import Glibc

/// What a process is started with.
package struct ProcessCommand: Sendable {
    /// From the root on.
    package var program: String
    package var arguments: [String]
    package var environment: [String: String]
    package var folder: String
    /// What no log line shows.
    package var secrets: [String]
    /// Bytes; nil for no bound.
    package var addressSpaceMax: UInt64?
    /// Open files.
    package var filesMax: UInt64
    /// What it gets when the thread that started it ends, as with this process.
    package var deathSignal = SIGKILL
    /// Who it runs as; nil for this process's own user. Another one takes root.
    package var user: SystemUser?

    package init(
        program: String, arguments: [String], environment: [String: String], folder: String, secrets: [String] = [],
        addressSpaceMax: UInt64? = nil, filesMax: UInt64 = 4_096
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
        self.secrets = secrets
        self.addressSpaceMax = addressSpaceMax
        self.filesMax = filesMax
    }
}

/// A user of this machine.
package struct SystemUser: Sendable, Equatable {
    package let name: String
    package let number: UInt32
    package let group: UInt32

    /// Nil when there is none of that name.
    package init?(named name: String) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        self.name = name
        number = entry.pw_uid
        group = entry.pw_gid
    }
}

/// A process of ours and the group that it leads.
package struct ProcessGroup: Sendable {
    package enum End: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)

        package var text: String {
            switch self {
            case .exited(Int32(MARTLET_EXEC_FAILED)): "it could not be run"
            case .exited(let status): "exit status \(status)"
            case .signalled(let number): "signal \(number)"
            }
        }
    }

    package struct Failure: Error { package let reason: String }

    package let number: Int32
    /// Read ends of the pipes, which do not block.
    package let output: Int32
    package let error: Int32

    /// Call it from a thread that lives as long as the process shall.
    package static func start(_ command: ProcessCommand) throws(Failure) -> ProcessGroup {
        let output = try pipe()
        let error: (read: Int32, write: Int32)
        do throws(Failure) { error = try pipe() } catch {
            close(output.read)
            close(output.write)
            throw error
        }
        var plan = martlet_process_plan()
        plan.output = output.write
        plan.error = error.write
        plan.death_signal = command.deathSignal
        plan.address_space = command.addressSpaceMax ?? 0
        plan.files = command.filesMax
        plan.user = command.user?.number ?? 0
        plan.group = command.user?.group ?? 0
        let number = withCStrings([command.program] + command.arguments) { words in
            withCStrings(command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }) { variables in
                command.folder.withCString { folder in
                    plan.folder = folder
                    return martlet_spawn_group(command.program, words, variables, &plan)
                }
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
        return ProcessGroup(number: number, output: output.read, error: error.read)
    }

    /// How it ended, once; nil while it runs. Afterwards its number may be anybody's.
    package func reap() -> End? {
        var status: Int32 = 0
        guard waitpid(number, &status, WNOHANG) == number else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }

    /// To the whole group.
    package func signal(_ number: Int32) { _ = Glibc.kill(-self.number, number) }

    package func closePipes() {
        close(output)
        close(error)
    }

    private static func pipe() throws(Failure) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw Failure(reason: "pipe: \(PosixFile.text(of: errno))") }
        // The process closes what it does not need itself; others that this process may start must not hold these.
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

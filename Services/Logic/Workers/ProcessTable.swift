// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletServiceKit

/// What /proc says of workers.
enum ProcessTable {
    /// What one process, or a group, uses.
    struct Usage: Sendable, Equatable {
        var cpu = Duration.zero
        /// Memory that is not a file's, in bytes.
        var memoryBytes = 0
        var processes = 0
        /// Of all of them.
        var threads = 0
    }

    private static let tick = Duration.seconds(1) / max(sysconf(Int32(_SC_CLK_TCK)), 1)
    private static let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))

    /// Of one process; nothing when it is gone.
    static func usage(of process: pid_t) -> Usage? {
        guard let fields = stat(process) else { return nil }
        return usage(process, fields)
    }

    /// Of all processes of a group or session.
    static func usage(ofGroup group: pid_t) -> Usage {
        var sum = Usage()
        for process in numbers() {
            guard let fields = stat(process), fields[2] == "\(group)" || fields[3] == "\(group)",
                let usage = usage(process, fields)
            else { continue }
            sum.cpu += usage.cpu
            sum.memoryBytes += usage.memoryBytes
            sum.processes += 1
            sum.threads += usage.threads
        }
        return sum
    }

    /// Kills every process whose environment says that its socket is below `folder`: what a worker left behind.
    static func killStrays(below folder: String) {
        let mark = Array("MARTLET_FUNCTION_SOCKET=\(folder)/".utf8)
        for process in numbers() where process != getpid() {
            guard let text = try? PosixFile.read("/proc/\(process)/environ", bytesMax: 1 << 20),
                text.utf8.split(separator: 0).contains(where: { $0.starts(with: mark) })
            else { continue }
            Glibc.kill(process, SIGKILL)
        }
    }

    /// Kills every process of a session, whichever group it has put itself into.
    static func kill(session: pid_t) {
        // Whoever forks faster than that is found again: a round kills all that the one before has left.
        for _ in 0..<roundsMax {
            let members = numbers().filter { process in
                guard let fields = stat(process) else { return false }
                return fields[3] == "\(session)" && fields[0] != "Z"
            }
            if members.isEmpty { return }
            for member in members { Glibc.kill(member, SIGKILL) }
        }
    }

    private static let roundsMax = 10

    private static func usage(_ process: pid_t, _ fields: [Substring]) -> Usage? {
        guard let user = Int(fields[11]), let system = Int(fields[12]), let threads = Int(fields[17]),
            let text = try? PosixFile.read("/proc/\(process)/statm", bytesMax: 4_096)
        else { return nil }
        let pages = text.split(separator: " ")
        guard pages.count >= 3, let resident = Int(pages[1]), let shared = Int(pages[2]) else { return nil }
        return Usage(
            cpu: tick * (user + system), memoryBytes: max(resident - shared, 0) * pageBytes, processes: 1,
            threads: threads)
    }

    /// The fields behind the name: state, parent, group, session, … (proc(5)).
    private static func stat(_ process: pid_t) -> [Substring]? {
        guard let text = try? PosixFile.read("/proc/\(process)/stat", bytesMax: 4_096),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count >= 20 ? fields : nil
    }

    private static func numbers() -> [pid_t] { PosixFile.names(in: "/proc").compactMap { pid_t($0) } }
}

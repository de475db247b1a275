// SPDX-License-Identifier: Apache-2.0

internal import CProcess
internal import Glibc
internal import MartletServiceKit

/// Starts programs that end with this process.
enum ChildProcess {
    /// The folder of this process's own program; the services' stand there too.
    static func ownFolder() throws(StartFailure) -> String {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &bytes, bytes.count)
        guard count > 0, count < bytes.count else {
            throw StartFailure(.unavailable, "/proc/self/exe: \(PosixFile.text(of: errno))")
        }
        let path = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }

    /// Returns the number of the process. Call it from a thread that lives as long as the children shall.
    static func start(
        _ path: String, arguments: [String], environment: [String: String]
    ) throws(StartFailure) -> pid_t {
        let process = withCStrings([path] + arguments) { words in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { martlet_spawn(path, words, $0) }
        }
        guard process > 0 else { throw StartFailure(.internalError, "fork: \(PosixFile.text(of: errno))") }
        return process
    }

    /// The next process that has ended; nil if none has.
    static func nextEnded() -> (process: pid_t, end: ProcessEnd)? {
        while true {
            var status: Int32 = 0
            let process = waitpid(-1, &status, WNOHANG)
            if process < 0, errno == EINTR { continue }
            return process > 0 ? (process, ProcessEnd(waitStatus: status)) : nil
        }
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

// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletServiceKit

/// Runs a program to its end. Blocks.
enum ManagedProcess {
    struct Failure: Error, Equatable { let reason: String }

    /// Most of what is kept of its output, in bytes.
    private static let outputBytesMax = 65_536
    /// `initdb` takes a second, on a slow disk half a minute.
    private static let timeout = Duration.seconds(120)

    /// What it wrote to standard output, if its exit status is 0; else what it said, as the reason.
    static func output(of command: ProcessCommand) -> Result<String, Failure> {
        let process: ProcessGroup
        do { process = try ProcessGroup.start(command) } catch { return .failure(Failure(reason: error.reason)) }
        defer { process.closePipes() }
        var texts: [[UInt8]] = [[], []]
        let end = ContinuousClock.now + timeout
        while true {
            // Its end is looked for first, so that nothing it wrote before is missed.
            let ended = process.reap()
            take(process.output, into: &texts[0])
            take(process.error, into: &texts[1])
            if let ended {
                let words = String(decoding: texts[1] + texts[0], as: UTF8.self)
                if ended == .exited(0) { return .success(String(decoding: texts[0], as: UTF8.self)) }
                return .failure(Failure(reason: "\(command.program): \(ended.text)\n\(words)"))
            }
            if ContinuousClock.now >= end { process.signal(SIGKILL) }
            var places = [process.output, process.error].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            // A pipe that is closed is always ready, so a short sleep as well.
            if poll(&places, 2, 20) > 0, places.allSatisfy({ $0.revents & Int16(POLLIN) == 0 }) { usleep(2_000) }
        }
    }

    /// What there is now; beyond the bound it is dropped.
    static func take(_ descriptor: Int32, into bytes: inout [UInt8]) {
        var piece = [UInt8](repeating: 0, count: 8_192)
        while true {
            let count = read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            if bytes.count < outputBytesMax { bytes += piece[..<count] }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Synchronization

/// Where log lines go. Lines of several threads never mix.
package final class LogSink: Sendable {
    private let write: @Sendable ([UInt8]) -> Void
    private let lock = Mutex(())
    let isTerminal: Bool

    /// Standard error: standard output belongs to the answers of commands.
    package static let standardError = LogSink(isTerminal: isatty(STDERR_FILENO) == 1) { line in
        var rest = line[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // A log that nobody takes must not stop the service.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// `write` gets whole lines with their line end, one at a time.
    package init(isTerminal: Bool = false, write: @escaping @Sendable ([UInt8]) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    func append(_ line: [UInt8]) { lock.withLock { _ in write(line) } }
}

extension LogFormat {
    func isText(on sink: LogSink) -> Bool { self == .text || self == .auto && sink.isTerminal }
}

// SPDX-License-Identifier: Apache-2.0

/// Cuts the output of a worker into lines, each of bounded length, and so many in a time.
struct OutputLines: Sendable {
    struct Line: Sendable, Equatable {
        var text: String
        var isCut = false
    }

    private var pending: [UInt8] = []
    private var isSkipping = false
    private var windowStart: ContinuousClock.Instant?
    private var linesInWindow = 0
    /// Lines that were not passed on since this was asked last.
    private(set) var dropped = 0

    /// The whole lines that there are now.
    mutating func take(_ bytes: some Sequence<UInt8>, at now: ContinuousClock.Instant) -> [Line] {
        var lines: [Line] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if !isSkipping { append(Line(text: text()), to: &lines, at: now) }
                pending.removeAll(keepingCapacity: true)
                isSkipping = false
            } else if !isSkipping {
                pending.append(byte)
                guard pending.count >= FunctionLimits.logLineBytesMax else { continue }
                append(Line(text: text(), isCut: true), to: &lines, at: now)
                isSkipping = true
            }
        }
        return lines
    }

    /// What stands without a line's end.
    mutating func rest(at now: ContinuousClock.Instant) -> [Line] {
        var lines: [Line] = []
        if !pending.isEmpty, !isSkipping { append(Line(text: text()), to: &lines, at: now) }
        pending = []
        return lines
    }

    mutating func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }

    private func text() -> String { String(decoding: pending, as: UTF8.self) }

    private mutating func append(_ line: Line, to lines: inout [Line], at now: ContinuousClock.Instant) {
        if let start = windowStart, now - start < FunctionLimits.logWindow {
        } else {
            windowStart = now
            linesInWindow = 0
        }
        linesInWindow += 1
        if linesInWindow > FunctionLimits.logLinesMax { dropped += 1 } else { lines.append(line) }
    }
}

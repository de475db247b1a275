// SPDX-License-Identifier: Apache-2.0

/// Cuts the output of a process into lines, each of bounded length, and so many in a time.
package struct OutputLines: Sendable {
    /// Longest line, in bytes; what is beyond it is cut off.
    package static let lineBytesMax = 10_000
    /// Lines that are passed on in `window`; further ones are counted.
    package static let linesMax = 100
    package static let window = Duration.seconds(10)

    package struct Line: Sendable, Equatable {
        package var text: String
        package var isCut = false
    }

    private var pending: [UInt8] = []
    private var isSkipping = false
    private var windowStart: ContinuousClock.Instant?
    private var linesInWindow = 0
    /// Lines that were not passed on since this was asked last.
    private(set) var dropped = 0

    package init() {}

    /// The whole lines that there are now.
    package mutating func take(_ bytes: some Sequence<UInt8>, at now: ContinuousClock.Instant) -> [Line] {
        var lines: [Line] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if !isSkipping { append(Line(text: text()), to: &lines, at: now) }
                pending.removeAll(keepingCapacity: true)
                isSkipping = false
            } else if !isSkipping {
                pending.append(byte)
                guard pending.count >= Self.lineBytesMax else { continue }
                append(Line(text: text(), isCut: true), to: &lines, at: now)
                isSkipping = true
            }
        }
        return lines
    }

    /// What stands without a line's end.
    package mutating func rest(at now: ContinuousClock.Instant) -> [Line] {
        var lines: [Line] = []
        if !pending.isEmpty, !isSkipping { append(Line(text: text()), to: &lines, at: now) }
        pending = []
        return lines
    }

    package mutating func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }

    private func text() -> String { String(decoding: pending, as: UTF8.self) }

    private mutating func append(_ line: Line, to lines: inout [Line], at now: ContinuousClock.Instant) {
        if let start = windowStart, now - start < Self.window {
        } else {
            windowStart = now
            linesInWindow = 0
        }
        linesInWindow += 1
        if linesInWindow > Self.linesMax { dropped += 1 } else { lines.append(line) }
    }
}

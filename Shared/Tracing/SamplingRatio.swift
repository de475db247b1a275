// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// The share of traces that is recorded, of those that begin with us. The trace's own id decides, so that every process
/// that asks decides alike (OpenTelemetry, "TraceState: Probability Sampling": the last 56 bits are the random ones).
package struct SamplingRatio: Sendable, Equatable {
    /// From 0 to 1.
    package let value: Double
    private let threshold: UInt64

    private static let randomBits: UInt64 = 56

    package static let all = SamplingRatio(share: 1)

    /// Nil beyond 0 to 1.
    package init?(_ value: Double) {
        guard (0...1).contains(value) else { return nil }
        self.init(share: value)
    }

    private init(share value: Double) {
        self.value = value
        threshold = UInt64((1 - value) * Double(UInt64(1) << Self.randomBits))
    }

    package func draws(_ trace: TraceContext) -> Bool {
        guard let digits = trace.traceID?.suffix(Int(Self.randomBits / 4)), let random = UInt64(digits, radix: 16)
        else {
            return false
        }
        return random >= threshold
    }
}

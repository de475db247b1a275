// SPDX-License-Identifier: Apache-2.0

/// A small random number generator for jitter (Steele, Lea, Flood 2014). Seeded, so that the simulator can repeat a
/// run; not for secrets.
struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// A number in `0..<bound`, or 0 when `bound` is 0.
    mutating func next(below bound: UInt64) -> UInt64 { bound == 0 ? 0 : next() % bound }

    static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Highest-random-weight choice of a replica for a route key (D34): stable while replicas come and go.
enum RendezvousHash {
    static func weight(_ key: UInt64, _ endpoint: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in endpoint.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return SplitMix64.mix(hash ^ key)
    }
}

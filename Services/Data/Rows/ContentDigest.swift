// SPDX-License-Identifier: Apache-2.0

/// FNV-1a over 128 bits (draft-eastlake-fnv-21, section 6): tells a client's own requests apart under one idempotency
/// key, and notices an edited migration. It guards nobody against somebody else, so it need not resist a forger.
struct ContentDigest {
    private var state: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
    private static let prime: UInt128 = 0x0000_0000_0100_0000_0000_0000_0000_013b

    mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { mix(byte) }
        // A byte that UTF-8 never has, so that parts do not run into each other.
        mix(0xFF)
    }

    private mutating func mix(_ byte: UInt8) {
        state ^= UInt128(byte)
        state &*= Self.prime
    }

    /// Hexadecimal.
    var text: String { String(state, radix: 16) }

    static func text(of content: String) -> String {
        var digest = ContentDigest()
        digest.add(content.utf8)
        return digest.text
    }
}

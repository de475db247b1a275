// SPDX-License-Identifier: Apache-2.0

/// A key that is a number of ours or of libzmq's.
///
/// Dictionaries of such keys are asked a dozen times a request. What SipHash protects from, keys that an attacker
/// chooses, is bounded here by the requests that one authenticated peer may have in flight.
protocol NumberKey: Hashable, Sendable {
    var number: UInt64 { get }
}

extension NumberKey {
    func hash(into hasher: inout Hasher) { hasher.combine(number) }

    /// The standard library's hook for hashing a key alone: one multiplication that spreads the number over all bits.
    func _rawHashValue(seed: Int) -> Int {
        let mixed = (number ^ UInt64(truncatingIfNeeded: seed)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed ^ (mixed >> 32))
    }
}

/// One request of a caller, over all its attempts; also the request id on the wire. Unique in its `Bus`.
struct CallID: NumberKey {
    let rawValue: UInt64
    var number: UInt64 { rawValue }
}

/// One connection of a caller to one replica. Never used again for another connection.
struct LinkID: NumberKey {
    let rawValue: UInt64
    var number: UInt64 { rawValue }
}

/// One connection as the serving side sees it: the listener's number and the routing id that libzmq chose.
struct PeerID: NumberKey {
    let listener: UInt32
    let routing: UInt32
    var number: UInt64 { UInt64(listener) << 32 | UInt64(routing) }
}

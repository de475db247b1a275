// SPDX-License-Identifier: Apache-2.0

/// One request of a caller, over all its attempts; also the request id on the wire. Unique in its `Bus`.
struct CallID: Hashable, Sendable {
    let rawValue: UInt64
}

/// One connection of a caller to one replica. Never used again for another connection.
struct LinkID: Hashable, Sendable {
    let rawValue: UInt64
}

/// One connection as the serving side sees it: the listener's number and the routing id that libzmq chose.
struct PeerID: Hashable, Sendable {
    let listener: UInt32
    let routing: UInt32
}

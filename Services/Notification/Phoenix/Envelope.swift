// SPDX-License-Identifier: Apache-2.0

/// The two ways of a client to write envelopes (RT-10).
enum Serializer: UInt8, Sendable {
    /// A JSON object in a text frame.
    case one = 1
    /// A JSON array in a text frame, and binary frames for broadcasts.
    case two = 2

    /// What the query parameter `vsn` asks for; anything unknown counts as the first.
    init(wire: UInt32) { self = wire == 2 ? .two : .one }
}

/// A message's own or its join's reference: a string, a number or null, echoed as it came.
struct Reference: Sendable {
    /// As JSON text.
    let raw: Slice

    static let null = Reference(raw: Array("null".utf8)[...])

    var isNull: Bool { JSONSlices.isNull(raw) }

    /// Whether both name the same: SDKs write `"1"` in text frames and the bare digit in binary ones.
    func isSame(as other: Reference) -> Bool { Self.content(raw).elementsEqual(Self.content(other.raw)) }

    private static func content(_ raw: Slice) -> Slice {
        raw.first == UInt8(ascii: "\"") && raw.count >= 2 ? raw.dropFirst().dropLast() : raw
    }
}

/// One message of a client.
struct Envelope: Sendable {
    /// What a broadcast carries, already taken apart.
    struct Broadcast: Sendable {
        let event: String
        let isBinary: Bool
        /// JSON text, or any bytes if `isBinary`.
        let payload: Slice
    }

    enum Content: Sendable {
        /// A JSON value.
        case json(Slice)
        /// Kind 3.
        case broadcast(Broadcast)
        /// Kind 0: an opaque payload, which no event of ours has.
        case opaque
    }

    let joinReference: Reference
    let reference: Reference
    let topic: String
    let event: String
    let content: Content
}

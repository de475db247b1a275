// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// The binary frames of the second serializer (RT-11).
enum BinaryFrame {
    private static let push: UInt8 = 0
    private static let userBroadcastPush: UInt8 = 3
    private static let userBroadcast: UInt8 = 4
    private static let encodingBinary: UInt8 = 0
    private static let encodingJSON: UInt8 = 1
    /// Lengths are one byte each.
    private static let fieldBytesMax = 255

    /// Nil for an unknown kind, lengths beyond the frame or a payload that is not what the frame says.
    static func read(_ frame: [UInt8]) -> Envelope? {
        var rest = frame[...]
        switch rest.popFirst() {
        case userBroadcastPush:
            guard rest.count >= 6 else { return nil }
            let lengths = rest.prefix(5).map { Int($0) }
            let encoding = rest[rest.startIndex + 5]
            rest = rest.dropFirst(6)
            guard let fields = fields(lengths, &rest), encoding == encodingBinary || encoding == encodingJSON,
                let topic = text(fields[2]), let event = text(fields[3])
            else { return nil }
            let isBinary = encoding == encodingBinary
            guard let payload = isBinary ? rest : JSONSlices.document(rest),
                let joinReference = reference(fields[0]), let reference = reference(fields[1])
            else { return nil }
            return Envelope(
                joinReference: joinReference, reference: reference, topic: topic, event: "broadcast",
                content: .broadcast(Envelope.Broadcast(event: event, isBinary: isBinary, payload: payload)))
        case push:
            guard rest.count >= 4 else { return nil }
            let lengths = rest.prefix(4).map { Int($0) }
            rest = rest.dropFirst(4)
            guard let fields = fields(lengths, &rest), let topic = text(fields[2]), let event = text(fields[3]),
                let joinReference = reference(fields[0]), let reference = reference(fields[1])
            else { return nil }
            return Envelope(
                joinReference: joinReference, reference: reference, topic: topic, event: event, content: .opaque)
        default: return nil
        }
    }

    /// Kind 4; nil when topic or event are too long for it.
    static func userBroadcast(topic: String, _ broadcast: Envelope.Broadcast) -> [UInt8]? {
        guard topic.utf8.count <= fieldBytesMax, broadcast.event.utf8.count <= fieldBytesMax else { return nil }
        var frame: [UInt8] = []
        frame.reserveCapacity(5 + topic.utf8.count + broadcast.event.utf8.count + broadcast.payload.count)
        frame.append(userBroadcast)
        frame.append(UInt8(topic.utf8.count))
        frame.append(UInt8(broadcast.event.utf8.count))
        frame.append(0)
        frame.append(broadcast.isBinary ? encodingBinary : encodingJSON)
        frame.append(contentsOf: topic.utf8)
        frame.append(contentsOf: broadcast.event.utf8)
        frame.append(contentsOf: broadcast.payload)
        return frame
    }

    private static func fields(_ lengths: [Int], _ rest: inout Slice) -> [Slice]? {
        guard lengths.reduce(0, +) <= rest.count else { return nil }
        return lengths.map { length in
            defer { rest = rest.dropFirst(length) }
            return rest.prefix(length)
        }
    }

    private static func text(_ field: Slice) -> String? {
        JSONSlices.isUTF8(field) ? String(decoding: field, as: UTF8.self) : nil
    }

    /// As JSON: nothing is null, all else a string.
    private static func reference(_ field: Slice) -> Reference? {
        guard !field.isEmpty else { return .null }
        guard let text = text(field) else { return nil }
        var raw: [UInt8] = []
        JSONText.appendString(text, to: &raw)
        return Reference(raw: raw[...])
    }
}

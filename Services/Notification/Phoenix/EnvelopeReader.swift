// SPDX-License-Identifier: Apache-2.0

/// Takes text frames apart (RT-10). The payload stays a part of the frame.
enum EnvelopeReader {
    private static let noPayload = Array("{}".utf8)[...]

    /// Nil for what is no envelope: such a frame is dropped (RT-13).
    static func read(_ frame: [UInt8], _ serializer: Serializer) -> Envelope? {
        guard let document = JSONSlices.document(frame) else { return nil }
        switch serializer {
        case .one:
            guard let members = JSONSlices.members(of: document) else { return nil }
            return envelope(
                joinReference: members["join_ref"], reference: members["ref"], topic: members["topic"],
                event: members["event"], payload: members["payload"])
        case .two:
            guard let elements = JSONSlices.elements(of: document), elements.count == 5 else { return nil }
            return envelope(
                joinReference: elements[0], reference: elements[1], topic: elements[2], event: elements[3],
                payload: elements[4])
        }
    }

    private static func envelope(
        joinReference: Slice?, reference: Slice?, topic: Slice?, event: Slice?, payload: Slice?
    ) -> Envelope? {
        guard let topic = topic.flatMap(JSONSlices.string), let event = event.flatMap(JSONSlices.string),
            let joinReference = self.reference(joinReference), let reference = self.reference(reference)
        else { return nil }
        return Envelope(
            joinReference: joinReference, reference: reference, topic: topic, event: event,
            content: .json(payload ?? noPayload))
    }

    /// A string, a number or null; nil for other values, which nobody could echo usefully.
    private static func reference(_ slice: Slice?) -> Reference? {
        guard let slice, !JSONSlices.isNull(slice) else { return .null }
        switch slice.first {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "t"), UInt8(ascii: "f"): return nil
        default: return Reference(raw: slice)
        }
    }
}

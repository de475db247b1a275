// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// Writes the server's text frames, in either serializer (RT-10).
enum EnvelopeWriter {
    /// - Parameter payload: JSON text.
    static func write(
        _ serializer: Serializer, joinReference: Reference, reference: Reference, topic: String, event: String,
        payload: some Collection<UInt8>
    ) -> [UInt8] {
        var frame: [UInt8] = []
        frame.reserveCapacity(64 + topic.utf8.count + event.utf8.count + payload.count)
        switch serializer {
        case .one:
            frame.append(contentsOf: #"{"topic":"#.utf8)
            JSONText.appendString(topic, to: &frame)
            frame.append(contentsOf: #","event":"#.utf8)
            JSONText.appendString(event, to: &frame)
            frame.append(contentsOf: #","payload":"#.utf8)
            frame.append(contentsOf: payload)
            frame.append(contentsOf: #","ref":"#.utf8)
            frame.append(contentsOf: reference.raw)
            frame.append(UInt8(ascii: "}"))
        case .two:
            frame.append(UInt8(ascii: "["))
            frame.append(contentsOf: joinReference.raw)
            frame.append(UInt8(ascii: ","))
            frame.append(contentsOf: reference.raw)
            frame.append(UInt8(ascii: ","))
            JSONText.appendString(topic, to: &frame)
            frame.append(UInt8(ascii: ","))
            JSONText.appendString(event, to: &frame)
            frame.append(UInt8(ascii: ","))
            frame.append(contentsOf: payload)
            frame.append(UInt8(ascii: "]"))
        }
        return frame
    }

    /// What no client asked for: both references are null.
    static func push(
        _ serializer: Serializer, topic: String, event: String, payload: some Collection<UInt8>
    ) -> [UInt8] {
        write(serializer, joinReference: .null, reference: .null, topic: topic, event: event, payload: payload)
    }

    /// `phx_close` and `phx_error`, which carry the join's reference as their own.
    static func end(_ serializer: Serializer, joinReference: Reference, topic: String, event: String) -> [UInt8] {
        write(
            serializer, joinReference: joinReference, reference: joinReference, topic: topic, event: event,
            payload: "{}".utf8)
    }

    /// A broadcast for members that get text: `{"type":"broadcast","event":…,"payload":…}`.
    static func broadcast(_ serializer: Serializer, topic: String, _ broadcast: Envelope.Broadcast) -> [UInt8] {
        var payload: [UInt8] = []
        payload.reserveCapacity(48 + broadcast.event.utf8.count + broadcast.payload.count)
        payload.append(contentsOf: #"{"type":"broadcast","event":"#.utf8)
        JSONText.appendString(broadcast.event, to: &payload)
        payload.append(contentsOf: #","payload":"#.utf8)
        payload.append(contentsOf: broadcast.payload)
        payload.append(UInt8(ascii: "}"))
        return push(serializer, topic: topic, event: "broadcast", payload: payload)
    }
}

/// The payloads of `phx_reply` and `system`.
enum Payloads {
    static let ok = Array(#"{"status":"ok","response":{}}"#.utf8)

    /// - Parameter response: JSON text.
    static func ok(response: [UInt8]) -> [UInt8] { Array(#"{"status":"ok","response":"#.utf8) + response + [0x7D] }

    static func refusal(_ reason: String) -> [UInt8] { refusal(member: "reason", reason) }

    static func refusal(member: String, _ text: String) -> [UInt8] {
        let response: JSONObject = [member: .string(text)]
        return Array((["status": "error", "response": .object(response)] as JSONObject).text.utf8)
    }

    /// - Parameter topic: without `realtime:`.
    static func system(extension name: String, isOK: Bool, _ message: String, topic: String) -> [UInt8] {
        let object: JSONObject = [
            "extension": .string(name), "status": isOK ? "ok" : "error", "message": .string(message),
            "channel": .string(topic),
        ]
        return Array(object.text.utf8)
    }
}

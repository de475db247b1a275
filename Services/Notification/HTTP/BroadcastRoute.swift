// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletWire

/// `POST /realtime/v1/api/broadcast` (RT-02): messages for channels, without a socket.
struct BroadcastRoute: Sendable {
    struct Answer: Sendable, Equatable {
        var status: UInt16
        /// JSON, or nothing.
        var body = ""

        static let accepted = Answer(status: 202)
        static let unauthorized = Answer(status: 401, body: #"{"message":"Unauthorized"}"#)
        static let tooMany = Answer(status: 429, body: #"{"message":"Too many requests"}"#)
        static let notFound = Answer(status: 404, body: #"{"error":"There is nothing at this address"}"#)
        static let notAllowed = Answer(status: 405, body: #"{"error":"The method is not allowed here"}"#)
    }

    static let path = "/api/broadcast"

    let hub: Hub
    /// Largest payload of one message, in bytes.
    let payloadBytesMax: Int

    func answer(_ head: HTTPRequestHead, body: [UInt8], principal: Principal) async -> Answer {
        guard head.path == Self.path else { return .notFound }
        guard head.method == "POST" else { return .notAllowed }
        guard principal.tokenStatus == .valid else { return .unauthorized }
        switch messages(in: body) {
        case .failure(let refusal): return Answer(status: 422, body: refusal.body)
        case .success(let messages):
            // Whether somebody may write to a private channel is not to be found out here: such messages vanish.
            let mayPublishPrivate = principal.role == "service_role"
            let permitted = messages.filter { mayPublishPrivate || !$0.key.isPrivate }
            return await hub.publish(permitted) ? .accepted : .tooMany
        }
    }

    /// What is wrong with the messages; nothing of them is sent then.
    struct Refusal: Error, Equatable {
        let body: String
    }

    func messages(in body: [UInt8]) -> Result<[(key: ChannelKey, broadcast: Envelope.Broadcast)], Refusal> {
        guard let document = JSONSlices.document(body),
            let elements = JSONSlices.members(of: document)?["messages"].flatMap(JSONSlices.elements)
        else { return .failure(Refusal(body: #"{"errors":{"messages":["can't be blank"]}}"#)) }
        var messages: [(key: ChannelKey, broadcast: Envelope.Broadcast)] = []
        var faults: [JSONValue] = []
        var isFaulty = false
        for element in elements {
            let members = JSONSlices.members(of: element) ?? []
            var fault = JSONObject()
            let topic = members["topic"].flatMap(JSONSlices.string) ?? ""
            let event = members["event"].flatMap(JSONSlices.string) ?? ""
            if topic.isEmpty { fault["topic"] = ["can't be blank"] }
            if event.isEmpty { fault["event"] = ["can't be blank"] }
            if let payload = members["payload"], !JSONSlices.isNull(payload) {
                if payload.count > payloadBytesMax {
                    fault["payload"] = [.string("Payload size exceeds the limit of \(payloadBytesMax) bytes")]
                }
                messages.append(
                    (
                        ChannelKey(
                            name: topic, isPrivate: members["private"].flatMap(JSONSlices.bool) ?? false),
                        Envelope.Broadcast(event: event, isBinary: false, payload: payload)
                    ))
            } else {
                fault["payload"] = ["can't be blank"]
            }
            isFaulty = isFaulty || !fault.isEmpty
            faults.append(.object(fault))
        }
        guard !isFaulty else {
            let body: JSONObject = ["errors": ["messages": .array(faults)]]
            return .failure(Refusal(body: body.text))
        }
        return .success(messages)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Everything that our spans say of themselves: the names of OpenTelemetry's semantic conventions 1.44.0, and our own.
/// A closed list, so that no secret, claim, query, body or mail address gets a name.
package enum AttributeKey: String, Sendable, CaseIterable {
    case clientAddress = "client.address"
    case serverAddress = "server.address"
    case serverPort = "server.port"
    case errorType = "error.type"
    case httpMethod = "http.request.method"
    case httpRoute = "http.route"
    case httpStatus = "http.response.status_code"
    /// Without its query, which may hold what is nobody's business.
    case urlPath = "url.path"
    case urlScheme = "url.scheme"
    case rpcSystem = "rpc.system.name"
    case rpcMethod = "rpc.method"
    case rpcStatus = "rpc.response.status_code"
    case databaseSystem = "db.system.name"
    case databaseOperation = "db.operation.name"
    case databaseCollection = "db.collection.name"
    case messagingSystem = "messaging.system"
    case messagingOperation = "messaging.operation.name"
    case messagingOperationType = "messaging.operation.type"
    case messagingDestination = "messaging.destination.name"
    case messagingMessage = "messaging.message.id"
    case functionName = "faas.invoked_name"
    case requestID = "martlet.request_id"
    case caller = "martlet.caller"
    case attempt = "martlet.attempt"
}

/// The attributes of one span; a text that is empty or nil is left out.
package struct SpanAttributes: Sendable {
    enum Value: Sendable, Equatable {
        case text(String)
        case number(Int64)
    }

    /// Longest value, in bytes; the rest is cut off. Paths and names of hosts are somebody else's texts.
    static let textBytesMax = 512

    private(set) var values: [(key: AttributeKey, value: Value)] = []

    package mutating func set(_ key: AttributeKey, _ text: String?) {
        guard let text, !text.isEmpty else { return }
        values.append((key, .text(Self.cut(text))))
    }

    package mutating func set(_ key: AttributeKey, _ number: Int) { values.append((key, .number(Int64(number)))) }

    /// At the last whole character within the bound.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > textBytesMax else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: textBytesMax)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return String(text[..<end])
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// A request to the auth API, as the edge sent it on (D12).
package struct AuthRequest: Sendable {
    private static let userAgentBytesMax = 1_024

    package let method: String
    /// The path's parts after `/auth/v1`, without percent encoding. A trailing slash adds none (AU-101).
    package let path: [String]
    package let query: [String: String]
    package let head: HTTPRequestHead
    package let body: [UInt8]
    package let principal: Principal
    package let trace: TraceContext
    /// When the caller stops waiting.
    package let deadline: ContinuousClock.Instant

    /// - Throws: `validation_failed` when path or query are not percent-encoded UTF-8.
    package init(
        head: HTTPRequestHead, body: [UInt8] = [], principal: Principal = Principal(), trace: TraceContext = .none,
        deadline: ContinuousClock.Instant
    ) throws(AuthError) {
        self.head = head
        self.body = body
        self.principal = principal
        self.trace = trace
        self.deadline = deadline
        method = head.method
        var parts: [String] = []
        for part in head.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            parts.append(try Self.decoded(part, plusIsSpace: false))
        }
        if parts.last?.isEmpty == true { parts.removeLast() }
        path = parts
        var query: [String: String] = [:]
        for pair in head.query.split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = sides.count > 1 ? try Self.decoded(sides[1], plusIsSpace: true) : ""
            query[try Self.decoded(sides[0], plusIsSpace: true)] = value
        }
        self.query = query
    }

    /// The client's program, for the session.
    var userAgent: String { String((head["user-agent"] ?? "").prefix(Self.userAgentBytesMax)) }

    private static func decoded(_ text: Substring, plusIsSpace: Bool) throws(AuthError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.count >= 2, let value = UInt8(String(rest.prefix(2)) ?? "", radix: 16) else {
                    throw .validation("The URL is malformed")
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw .validation("The URL is malformed")
        }
        return decoded
    }
}

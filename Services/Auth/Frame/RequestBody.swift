// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// The JSON object of a request (AU-105): unknown members do not matter, `null` is the same as absent, and a member of
/// the wrong type is `bad_json`.
struct RequestBody: Sendable {
    private static let nestingMax = 64
    let members: JSONObject

    /// - Parameter allowsEmpty: takes no bytes at all for `{}`.
    init(_ bytes: [UInt8], allowsEmpty: Bool = false) throws(AuthError) {
        if bytes.isEmpty, allowsEmpty {
            members = JSONObject()
            return
        }
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes, depthMax: Self.nestingMax)
        } catch { throw .badJSON("Could not parse request body as JSON: \(error.reason.rawValue)") }
        guard let members = document.objectValue else {
            throw .badJSON("Could not parse request body as JSON: expected an object")
        }
        // No engine and no client of ours can hold a NUL in a text (AU-513).
        guard !Self.holdsNUL(document) else { throw .badJSON("Texts must not contain the character U+0000") }
        self.members = members
    }

    func string(_ name: String) throws(AuthError) -> String? {
        try member(name, "a string") { $0.stringValue }
    }

    /// The text, or nil when it is absent or empty, which the dialect does not tell apart.
    func text(_ name: String) throws(AuthError) -> String? {
        guard let text = try string(name), !text.isEmpty else { return nil }
        return text
    }

    func bool(_ name: String) throws(AuthError) -> Bool? {
        try member(name, "a boolean") { $0.boolValue }
    }

    func object(_ name: String) throws(AuthError) -> JSONObject? {
        try member(name, "an object") { $0.objectValue }
    }

    func has(_ name: String) -> Bool { members[name].map { !$0.isNull } ?? false }

    private func member<Value>(
        _ name: String, _ kind: String, _ read: (JSONValue) -> Value?
    ) throws(AuthError) -> Value? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let result = read(value) else {
            throw .badJSON("Could not parse request body as JSON: \(name) must be \(kind)")
        }
        return result
    }

    private static func holdsNUL(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): text.utf8.contains(0)
        case .array(let elements): elements.contains(where: holdsNUL)
        case .object(let object): object.members.contains { $0.key.utf8.contains(0) || holdsNUL($0.value) }
        default: false
        }
    }
}

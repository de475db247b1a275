// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletWire

/// What SQL may decide about an answer: `response.status` and `response.headers` (rest contract 12.5), and errors that
/// it raises as `PGRST` (18.4).
enum ResponseSettings {
    /// Fields of one answer, and bytes of their names and values together: what the edge is sure to pass on.
    static let fieldsMax = 64
    static let fieldBytesMax = 16 * 1024

    /// What the edge alone says: how the message is framed, and fields that it puts into every answer.
    private static let reserved: Set<String> = [
        "access-control-expose-headers", "connection", "content-length", "date", "keep-alive", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade", "x-request-id",
    ]

    /// - Throws: `RowError` PGRST112 and PGRST111.
    static func apply(
        status given: String, headers: String, to reply: inout FinishedReply
    ) throws(RowError) {
        if !given.isEmpty {
            guard let status = status(given) else {
                throw RowError("PGRST112", "response.status guc must be a valid status code")
            }
            reply.status = status
        }
        guard !headers.isEmpty else { return }
        guard let fields = fields(list: headers) else {
            throw RowError(
                "PGRST111",
                "response.headers guc must be a JSON array composed of objects with a single key and a string value")
        }
        reply.replace(with: fields)
    }

    /// Codes that end an exchange; those below 200 do not.
    static func status(_ text: String) -> UInt16? {
        guard text.utf8.count == 3, let status = UInt16(text), 200...599 ~= status else { return nil }
        return status
    }

    private static func fields(list text: String) -> [HTTPField]? {
        guard let elements = (try? JSONValue(parsing: text))?.arrayValue else { return nil }
        var members: [(key: String, value: JSONValue)] = []
        for element in elements {
            guard let object = element.objectValue, object.count == 1 else { return nil }
            members += object.members
        }
        return fields(members)
    }

    static func fields(_ members: [(key: String, value: JSONValue)]) -> [HTTPField]? {
        guard members.count <= fieldsMax else { return nil }
        var fields: [HTTPField] = []
        var bytes = 0
        for (name, value) in members {
            let name = name.lowercased()
            guard let value = value.stringValue, isName(name), isValue(value), !reserved.contains(name) else {
                return nil
            }
            bytes += name.utf8.count + value.utf8.count
            guard bytes <= fieldBytesMax else { return nil }
            fields.append(HTTPField(name, value))
        }
        return fields
    }

    /// A token of RFC 9110, section 5.6.2.
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// A line break would begin another field, or another answer.
    private static func isValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }
    }
}

extension FinishedReply {
    /// Puts fields in, in place of those of the same names.
    mutating func replace(with new: [HTTPField]) {
        fields.removeAll { field in new.contains { $0.name == field.name } }
        fields += new
    }

    /// Without what a status forbids (RFC 9110, sections 15.3.5 and 15.4.5): it would be read as the next answer.
    mutating func dropForbiddenBody() {
        guard status == 204 || status == 205 || status == 304 else { return }
        body = []
        fields.removeAll { $0.name == "content-type" }
    }
}

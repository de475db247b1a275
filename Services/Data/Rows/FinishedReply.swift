// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// A whole HTTP answer, as it goes to the client and as it is kept for a replay (D27).
package struct FinishedReply: Sendable, Equatable {
    package var status: UInt16
    package var fields: [HTTPField]
    package var body: [UInt8]

    package init(status: UInt16, fields: [HTTPField] = [], body: [UInt8] = []) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// The first value of `name` (lower case).
    package subscript(_ name: String) -> String? {
        for field in fields where field.name == name { return field.value }
        return nil
    }

    /// The fields as stored beside an idempotency key: one `name: value` a line. Neither part holds a line break.
    package var storedFields: String {
        fields.map { "\($0.name): \($0.value)" }.joined(separator: "\n")
    }

    /// The answer of an earlier execution, from its stored parts.
    package init(status: Int64, storedFields: String, body: [UInt8]) {
        self.init(
            status: UInt16(truncatingIfNeeded: status),
            fields: storedFields.split(separator: "\n").compactMap { line in
                guard let colon = line.firstIndex(of: ":") else { return nil }
                return HTTPField(String(line[..<colon]), String(line[colon...].dropFirst(2)))
            }, body: body)
    }
}

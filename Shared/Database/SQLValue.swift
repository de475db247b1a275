// SPDX-License-Identifier: Apache-2.0

/// A parameter of a statement, or a column of a row.
package enum SQLValue: Sendable, Hashable {
    case null
    /// 0 or 1 on SQLite, `t` or `f` on PostgreSQL. Never comes out of a row on SQLite.
    case boolean(Bool)
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    package var isNull: Bool { self == .null }

    /// The integer; also of a text that is one (PostgreSQL's rows arrive as text).
    package var integerValue: Int64? {
        switch self {
        case .integer(let value): value
        case .boolean(let value): value ? 1 : 0
        case .text(let text): Int64(text)
        default: nil
        }
    }

    package var textValue: String? {
        switch self {
        case .text(let text): text
        case .integer(let value): String(value)
        default: nil
        }
    }

    /// The bytes; also of PostgreSQL's hexadecimal text form of bytea.
    package var blobValue: [UInt8]? {
        switch self {
        case .blob(let bytes): bytes
        case .text(let text): SQLValue.bytes(ofHexadecimal: text)
        default: nil
        }
    }

    private static func bytes(ofHexadecimal text: String) -> [UInt8]? {
        let utf8 = Array(text.utf8)
        guard utf8.starts(with: [0x5C, 0x78]), utf8.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(utf8.count / 2 - 1)
        for position in stride(from: 2, to: utf8.count, by: 2) {
            guard let byte = UInt8(String(decoding: utf8[position...position + 1], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }
}

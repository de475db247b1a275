// SPDX-License-Identifier: Apache-2.0
import MartletDatabase

/// bytea's text: `\x` and hexadecimal digits; the older escapes are read too.
enum ByteaText {
    /// Nil for a broken escape; throws 22023 for broken hexadecimal digits.
    static func bytes(_ text: String) throws(DatabaseError) -> [UInt8]? {
        let utf8 = Array(text.utf8)
        guard utf8.starts(with: "\\x".utf8) else { return escaped(utf8) }
        var bytes: [UInt8] = []
        var high: UInt8?
        for byte in utf8.dropFirst(2) {
            if byte == 32 || (9...13).contains(byte), high == nil { continue }
            guard let digit = digit(byte) else {
                let character = String(UnicodeScalar(byte))
                throw DatabaseError(sqlState: "22023", message: "invalid hexadecimal digit: \"\(character)\"")
            }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard high == nil else {
            throw DatabaseError(sqlState: "22023", message: "invalid hexadecimal data: odd number of digits")
        }
        return bytes
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    /// `\\` is a backslash, `\nnn` a byte in octal.
    private static func escaped(_ utf8: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var index = 0
        while index < utf8.count {
            if utf8[index] != UInt8(ascii: "\\") {
                bytes.append(utf8[index])
                index += 1
            } else if index + 1 < utf8.count, utf8[index + 1] == UInt8(ascii: "\\") {
                bytes.append(UInt8(ascii: "\\"))
                index += 2
            } else {
                guard index + 3 < utf8.count, (48...51).contains(utf8[index + 1]), (48...55).contains(utf8[index + 2]),
                    (48...55).contains(utf8[index + 3])
                else { return nil }
                bytes.append((utf8[index + 1] - 48) << 6 | (utf8[index + 2] - 48) << 3 | (utf8[index + 3] - 48))
                index += 4
            }
        }
        return bytes
    }

    private static let hexadecimal = Array("0123456789abcdef".utf8)

    static func append(_ bytes: [UInt8], to out: inout [UInt8]) {
        out.append(contentsOf: "\\x".utf8)
        for byte in bytes {
            out.append(hexadecimal[Int(byte >> 4)])
            out.append(hexadecimal[Int(byte & 15)])
        }
    }
}

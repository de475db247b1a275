// SPDX-License-Identifier: Apache-2.0

internal import Crypto

/// Ids of jobs. One that is derived from its cause makes a repeat of the cause harmless.
enum JobIdentity {
    /// A random UUID (RFC 9562, version 4).
    static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        return text((0..<16).map { _ in UInt8.random(in: 0 ... .max, using: &generator) }, version: 4)
    }

    /// The same UUID for the same parts (RFC 9562, version 8: SHA-256 over them, each with its length).
    static func derived(_ parts: String...) -> String {
        var hash = SHA256()
        for part in parts { hash.update(data: Array("\(part.utf8.count):\(part)".utf8)) }
        return text(Array(hash.finalize().prefix(16)), version: 8)
    }

    /// SHA-256 of a text, in hexadecimal.
    static func hash(_ text: String) -> String { hexadecimal(Array(SHA256.hash(data: Array(text.utf8)))) }

    private static func text(_ bytes: [UInt8], version: UInt8) -> String {
        var bytes = bytes
        bytes[6] = bytes[6] & 0x0F | version << 4
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = hexadecimal(bytes)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { range in
            String(digits.dropFirst(range.lowerBound).prefix(range.count))
        }.joined(separator: "-")
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import MartletAccessTokens

/// A refresh token taken apart (AU-151): version, session, counter, MAC under the session's key, checksum.
///
/// Nothing about issued tokens is stored but the counter of their session.
package struct RefreshToken: Sendable, Equatable {
    package let sessionID: String
    package let counter: UInt64
    private let mac: [UInt8]

    private static let version: UInt8 = 0
    private static let macBytes = 16
    private static let checksumBytes = 4
    static let keyBytes = 32

    /// Reads a token. Nil when its shape, version or checksum is wrong: such a token was never issued by anybody.
    package init?(_ text: String) {
        guard text.utf8.count < 128, let bytes = Base64.decodeURL(text.utf8) else { return nil }
        guard bytes.count > 17 + Self.macBytes + Self.checksumBytes, bytes[0] == Self.version else { return nil }
        let checked = bytes.dropLast(Self.checksumBytes)
        guard Self.checksum(checked) == Array(bytes.suffix(Self.checksumBytes)) else { return nil }
        let macced = checked.dropLast(Self.macBytes)
        guard let counter = Self.decodeVarint(macced.dropFirst(17)) else { return nil }
        sessionID = UUIDText.text(of: Array(bytes[1..<17]))
        self.counter = counter
        mac = Array(checked.suffix(Self.macBytes))
    }

    /// The token of `counter` in a session.
    package static func make(sessionID: String, counter: UInt64, key: [UInt8]) -> String {
        var bytes = signed(sessionID: sessionID, counter: counter)
        bytes += authenticationCode(bytes, key: key)
        return Base64.encodeURL(bytes + checksum(bytes[...]))
    }

    /// Whether the session's key made it. Compares in constant time.
    package func isAuthentic(key: [UInt8]) -> Bool {
        let expected = Self.authenticationCode(Self.signed(sessionID: sessionID, counter: counter), key: key)
        return zip(expected, mac).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0 && expected.count == mac.count
    }

    private static func signed(sessionID: String, counter: UInt64) -> [UInt8] {
        var bytes: [UInt8] = [version]
        bytes += UUIDText.bytes(of: sessionID) ?? []
        var rest = counter
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        return bytes
    }

    /// One varint that fills `bytes`, in its only form.
    private static func decodeVarint(_ bytes: ArraySlice<UInt8>) -> UInt64? {
        guard (1...9).contains(bytes.count), bytes.last.map({ $0 < 0x80 && ($0 != 0 || bytes.count == 1) }) == true
        else {
            return nil
        }
        var value: UInt64 = 0
        for (position, byte) in bytes.enumerated() {
            guard position == bytes.count - 1 || byte >= 0x80 else { return nil }
            value |= UInt64(byte & 0x7F) << (7 * UInt64(position))
        }
        return value
    }

    private static func authenticationCode(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: bytes, using: SymmetricKey(data: key)).prefix(macBytes))
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        Array(SHA256.hash(data: Array(bytes)).prefix(checksumBytes))
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import CCrypt

/// Checks passwords against bcrypt hashes, which users bring along whom SQL has made (`crypt(…, gen_salt('bf'))`) or who
/// come from elsewhere. New hashes are `Argon2id`.
package enum Bcrypt {
    /// The highest cost that is computed: each step doubles the time, 14 takes about a second.
    package static let costMax = 14
    private static let lengthOfHash = 60

    /// The cost of a hash; nil when it is none, or one that is not computed.
    package static func cost(of encoded: String) -> Int? {
        let bytes = Array(encoded.utf8)
        guard bytes.count == lengthOfHash, ["$2a$", "$2b$", "$2y$"].contains(where: encoded.hasPrefix),
            bytes[6] == UInt8(ascii: "$"), let cost = Int(String(decoding: bytes[4..<6], as: UTF8.self)),
            (4...costMax).contains(cost)
        else { return nil }
        return cost
    }

    package static func matches(_ password: [UInt8], _ encoded: String) -> Bool {
        // It reads up to a zero byte: what stands behind one would not count.
        guard cost(of: encoded) != nil, !password.contains(0) else { return false }
        let text = password.map { CChar(bitPattern: $0) } + [0]
        return unsafe martlet_crypt_matches(text, encoded) == 1
    }
}

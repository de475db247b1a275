// SPDX-License-Identifier: Apache-2.0

internal import CArgon2

/// Argon2id (RFC 9106) in the PHC string form: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`.
package struct Argon2id: Sendable, Equatable {
    /// Memory of one hash (m), in KiB.
    package let memoryKibibytes: UInt32
    /// Passes (t).
    package let iterations: UInt32
    /// Lanes (p).
    package let lanes: UInt32

    private static let saltBytes = 16
    private static let tagBytes = 32
    /// What a hash from elsewhere may ask for (13.2 of the auth contract): 1 GiB, 20 passes, 16 lanes.
    private static let accepted = Argon2id(memoryKibibytes: 1 << 20, iterations: 20, lanes: 16)
    private static let encodedBytesMax = 512

    /// OWASP's floor: 19 MiB, two passes, one lane.
    package static let floor = Argon2id(memoryKibibytes: 19_456, iterations: 2, lanes: 1)

    package init(memoryKibibytes: UInt32, iterations: UInt32, lanes: UInt32) {
        self.memoryKibibytes = memoryKibibytes
        self.iterations = iterations
        self.lanes = lanes
    }

    /// Hashes `password` under a new salt. Blocks for the whole time; nil when memory is short.
    package func hash(_ password: [UInt8]) -> String? {
        let salt = RandomBytes.make(Self.saltBytes)
        var encoded = [CChar](repeating: 0, count: Self.encodedBytesMax)
        let result = unsafe argon2id_hash_encoded(
            iterations, memoryKibibytes, lanes, password, password.count, salt, salt.count, Self.tagBytes,
            &encoded, encoded.count)
        guard result == ARGON2_OK.rawValue else { return nil }
        return String(decoding: encoded.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether `password` belongs to `encoded`, an Argon2id or Argon2i hash that `parameters(of:)` accepts. Compares in
    /// constant time. Blocks for the whole time.
    package static func matches(_ password: [UInt8], _ encoded: String) -> Bool {
        guard parameters(of: encoded) != nil else { return false }
        let kind = encoded.hasPrefix("$argon2id$") ? Argon2_id : Argon2_i
        return unsafe argon2_verify(encoded, password, password.count, kind) == ARGON2_OK.rawValue
    }

    /// The parameters of an encoded hash; nil when it is none, or asks for more than we are willing to spend.
    package static func parameters(of encoded: String) -> Argon2id? {
        guard encoded.utf8.count < encodedBytesMax else { return nil }
        let parts = encoded.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].isEmpty, parts[1] == "argon2id" || parts[1] == "argon2i", parts[2] == "v=19",
            !parts[4].isEmpty, !parts[5].isEmpty
        else { return nil }
        let fields = parts[3].split(separator: ",", omittingEmptySubsequences: false)
        guard fields.count == 3, let memory = number(fields[0], "m="), let passes = number(fields[1], "t="),
            let lanes = number(fields[2], "p="), memory >= 8, memory <= accepted.memoryKibibytes, passes >= 1,
            passes <= accepted.iterations, lanes >= 1, lanes <= accepted.lanes
        else { return nil }
        return Argon2id(memoryKibibytes: memory, iterations: passes, lanes: lanes)
    }

    private static func number(_ field: Substring, _ name: String) -> UInt32? {
        field.hasPrefix(name) ? UInt32(field.dropFirst(name.count)) : nil
    }
}

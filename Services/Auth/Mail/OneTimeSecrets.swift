// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import MartletAccessTokens
internal import MartletDatabase

/// Makes codes and links, and the keyed hashes under which alone they are stored (AU-170).
struct OneTimeSecrets: Sendable {
    private static let keyBytes = 32
    private static let linkBytes = 32
    private static let name = "one_time_tokens"

    private let key: [UInt8]

    /// Reads the key; makes it on the first start. Replicas that start at once agree on one.
    static func loadOrMake(
        database: Database, encryption: EncryptionKeys
    ) async throws(AuthError) -> OneTimeSecrets {
        do throws(KeyError) {
            let sealed = try encryption.seal(RandomBytes.make(keyBytes), context: "secrets/\(name)")
            let stored = try? await database.writing { session in
                try session.execute(
                    "insert into secrets (name, sealed) values ($1, $2) on conflict (name) do nothing",
                    [.text(name), .text(sealed)])
                return try session.query("select sealed from secrets where name = $1", [.text(name)]).first?[0]
                    .textValue
            }
            guard let stored = stored ?? nil else { throw KeyError("the key of one-time tokens cannot be read") }
            return OneTimeSecrets(key: try encryption.open(stored, context: "secrets/\(name)"))
        } catch { throw .unavailable(error.message) }
    }

    init(key: [UInt8]) { self.key = key }

    /// Decimal, uniform, leading zeros kept.
    static func makeCode(length: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String((0..<length).map { _ in Character(String(Int.random(in: 0...9, using: &generator))) })
    }

    /// Independent of any code (AU-503).
    static func makeLink(isPKCE: Bool) -> String {
        (isPKCE ? "pkce_" : "") + Base64.encodeURL(RandomBytes.make(linkBytes))
    }

    /// What is stored. `purpose` keeps a code from being looked for among links.
    func hash(_ secret: String, _ purpose: String) -> String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("\(purpose)/\(secret)".utf8), using: SymmetricKey(data: key))
        return Base64.encodeURL(Array(code))
    }

    /// In constant time for texts of one length.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

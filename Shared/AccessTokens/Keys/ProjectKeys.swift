// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import FoundationEssentials
package import MartletJSON

/// The keys that an application carries (D9): they name a role, not a person, and outlive the rotation of session keys.
///
/// In development `anon` and `serviceRole` are HS256 tokens under a secret of the project's own. In production they are
/// ES256 tokens under the key `project-1`, whose private half is forgotten once it has signed them: nothing that could
/// mint another one is left on disk.
package struct ProjectKeys: Sendable, Equatable {
    /// The `kid` of production's project keys.
    package static let productionKeyID = "project-1"
    /// Validity of the tokens, in seconds: ten years.
    private static let lifetimeSeconds: Int64 = 10 * 365 * 24 * 3_600
    private static let fileName = "/project.json"

    package let anon: String
    package let serviceRole: String
    /// `sb_publishable_…`: an opaque key for the role `anon`.
    package let publishable: String
    /// `sb_secret_…`: an opaque key for the role `service_role`.
    package let secret: String
    /// The HS256 secret; nil in production.
    package let jwtSecret: String?
    /// The public keys that verify `anon` and `serviceRole`, as a JWK set; empty in development.
    package let jwks: JSONValue

    /// New keys.
    ///
    /// - Parameters:
    ///   - production: ES256 instead of a shared secret.
    ///   - now: Unix time in seconds.
    package init(production: Bool, now: Int64) throws(KeyError) {
        func claims(_ role: JSONValue) -> JSONObject {
            ["iss": "martlet", "role": role, "iat": .integer(now), "exp": .integer(now + Self.lifetimeSeconds)]
        }
        if production {
            let key = SigningKey(id: Self.productionKeyID)
            anon = try key.sign(claims: claims("anon"))
            serviceRole = try key.sign(claims: claims("service_role"))
            jwtSecret = nil
            jwks = ["keys": [.object(key.publicJWK)]]
        } else {
            let secret = Self.random(bytes: 48)
            let key = try HMACSecret(secret)
            anon = key.sign(claims: claims("anon"))
            serviceRole = key.sign(claims: claims("service_role"))
            jwtSecret = secret
            jwks = ["keys": []]
        }
        publishable = "sb_publishable_" + Self.random(bytes: 24)
        secret = "sb_secret_" + Self.random(bytes: 24)
    }

    /// Reads the text of `keys/project.json`.
    package init(parsing text: String) throws(KeyError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: text)
        } catch { throw KeyError("the project keys are no JSON") }
        func member(_ name: String) throws(KeyError) -> String {
            guard let value = document[name]?.stringValue, !value.isEmpty else {
                throw KeyError("the project keys have no \(name)")
            }
            return value
        }
        anon = try member("anon")
        serviceRole = try member("service_role")
        publishable = try member("publishable")
        secret = try member("secret")
        jwtSecret = document["jwt_secret"]?.stringValue
        jwks = document["jwks"] ?? ["keys": []]
        if let jwtSecret { _ = try HMACSecret(jwtSecret) }
        _ = try VerificationKey.set(from: jwks)
    }

    /// The document of `keys/project.json`, and of `martlet keys --json`.
    package var document: JSONObject {
        var document: JSONObject = [
            "anon": .string(anon), "service_role": .string(serviceRole), "publishable": .string(publishable),
            "secret": .string(secret),
        ]
        if let jwtSecret { document["jwt_secret"] = .string(jwtSecret) }
        document["jwks"] = jwks
        return document
    }

    /// The keys of `directory`; nil if there are none. A file that others may read is refused.
    package static func load(directory: String) throws(KeyError) -> ProjectKeys? {
        guard let text = try SecretFile(path: directory + fileName).read() else { return nil }
        return try ProjectKeys(parsing: text)
    }

    /// The keys of `directory`; made there first if there are none. Production refuses those of development (D4), whose
    /// secret signs tokens for every role.
    package static func loadOrMake(directory: String, production: Bool, now: Int64) throws(KeyError) -> ProjectKeys {
        if let keys = try load(directory: directory) {
            guard !production || keys.jwtSecret == nil else {
                throw KeyError(
                    "\(directory)\(fileName) was made for development; `martlet keys rotate` makes others, or name another data directory"
                )
            }
            return keys
        }
        let made = try ProjectKeys(production: production, now: now)
        return try ProjectKeys(parsing: try SecretFile(path: directory + fileName).readOrCreate { made.document.text })
    }

    /// New keys in place of those in `directory`.
    package static func rotate(directory: String, production: Bool, now: Int64) throws(KeyError) -> ProjectKeys {
        let keys = try ProjectKeys(production: production, now: now)
        try SecretFile(path: directory + fileName).replace(keys.document.text)
        return keys
    }

    /// The role of an opaque key, compared in constant time; nil if it is none of ours.
    package func role(ofOpaqueKey key: String) -> String? {
        let isPublishable = Self.isEqual(key, publishable)
        let isSecret = Self.isEqual(key, secret)
        if isSecret { return "service_role" }
        return isPublishable ? "anon" : nil
    }

    /// Whether it is one of the keys of the project's own back ends, in either form. Their lengths are no secret.
    package func isServiceKey(_ key: String) -> Bool {
        [serviceRole, secret].contains { $0.utf8.count == key.utf8.count && Self.isEqual(key, $0) }
    }

    /// Compares digests, so that neither content nor length shows in the time taken.
    private static func isEqual(_ left: String, _ right: String) -> Bool {
        SHA256.hash(data: Array(left.utf8)) == SHA256.hash(data: Array(right.utf8))
    }

    private static func random(bytes count: Int) -> String {
        Base64.encodeURL(SymmetricKey(size: SymmetricKeySize(bitCount: count * 8)).withUnsafeBytes { Array($0) })
    }
}

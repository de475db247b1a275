// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import FoundationEssentials
package import MartletJSON

/// A private ES256 key that signs access tokens. Only the auth service holds one.
package struct SigningKey: Sendable {
    /// The `kid` of its tokens.
    package let id: String
    private let key: P256.Signing.PrivateKey

    /// A new key. Its ID is the thumbprint of its public half (RFC 7638), unless one is given.
    package init(id: String? = nil) { self.init(id: id, key: P256.Signing.PrivateKey()) }

    private init(id: String?, key: P256.Signing.PrivateKey) {
        self.key = key
        if let id {
            self.id = id
        } else {
            let point = Array(key.publicKey.rawRepresentation)
            // The members in the order and form of RFC 7638, section 3.2.
            let canonical =
                #"{"crv":"P-256","kty":"EC","x":""# + Base64.encodeURL(point[..<32]) + #"","y":""#
                + Base64.encodeURL(point[32...]) + #""}"#
            self.id = Base64.encodeURL(Array(SHA256.hash(data: Array(canonical.utf8))))
        }
    }

    /// The key whose 32 private bytes are `privateBytes`.
    package init(id: String, privateBytes: [UInt8]) throws(KeyError) {
        do {
            self.init(id: id, key: try P256.Signing.PrivateKey(rawRepresentation: privateBytes))
        } catch { throw KeyError("signing key \(id): not a private key of P-256") }
    }

    /// Reads a private JWK (RFC 7518, section 6.2.2), as other installations export it.
    package init(jwk: JSONObject) throws(KeyError) {
        guard jwk["kty"]?.stringValue == "EC", jwk["crv"]?.stringValue == "P-256" else {
            throw KeyError("a signing key must be of type EC on P-256")
        }
        guard let id = jwk["kid"]?.stringValue, !id.isEmpty else { throw KeyError("a signing key has no kid") }
        guard let bytes = jwk["d"]?.stringValue.flatMap({ Base64.decodeURL($0.utf8) }) else {
            throw KeyError("signing key \(id): d must be base64url")
        }
        try self.init(id: id, privateBytes: bytes)
        guard jwk["x"] == nil || jwk["x"] == publicJWK["x"], jwk["y"] == nil || jwk["y"] == publicJWK["y"] else {
            throw KeyError("signing key \(id): d does not belong to x and y")
        }
    }

    /// The 32 private bytes. Store them encrypted only (AU-531).
    package var privateBytes: [UInt8] { Array(key.rawRepresentation) }

    /// The public half as AU-143 publishes it.
    package var publicJWK: JSONObject { VerificationKey(id: id, key: key.publicKey).jwk }

    /// A compact token over `claims`: `{"alg":"ES256","kid":…,"typ":"JWT"}`.
    package func sign(claims: JSONObject) throws(KeyError) -> String {
        let header: JSONObject = ["alg": "ES256", "kid": .string(id), "typ": "JWT"]
        let signed = Base64.encodeURL(header.text.utf8) + "." + Base64.encodeURL(claims.text.utf8)
        do {
            let signature = try key.signature(for: Array(signed.utf8))
            return signed + "." + Base64.encodeURL(Array(signature.rawRepresentation))
        } catch { throw KeyError("signing key \(id) cannot sign") }
    }
}

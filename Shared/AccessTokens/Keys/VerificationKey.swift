// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import FoundationEssentials
internal import MartletJSON

/// A public key that verifies ES256 signatures (P-256, RFC 7518 section 3.4).
struct VerificationKey: Sendable {
    static let ellipticCurveAlgorithm = "ES256"

    let id: String
    let algorithm = VerificationKey.ellipticCurveAlgorithm
    private let key: P256.Signing.PublicKey

    init(id: String, key: P256.Signing.PublicKey) {
        self.id = id
        self.key = key
    }

    /// Reads one JWK. Nil for a key of another type or use, which a key set may hold besides.
    init?(jwk: JSONObject) throws(KeyError) {
        guard jwk["kty"]?.stringValue == "EC", jwk["crv"]?.stringValue == "P-256" else { return nil }
        if let algorithm = jwk["alg"]?.stringValue, algorithm != Self.ellipticCurveAlgorithm { return nil }
        if let use = jwk["use"]?.stringValue, use != "sig" { return nil }
        guard let id = jwk["kid"]?.stringValue, !id.isEmpty else { throw KeyError("a key of the set has no kid") }
        guard let x = jwk["x"]?.stringValue.flatMap({ Base64.decodeURL($0.utf8) }), x.count == 32,
            let y = jwk["y"]?.stringValue.flatMap({ Base64.decodeURL($0.utf8) }), y.count == 32
        else { throw KeyError("key \(id): x and y must be 32 bytes of base64url") }
        do {
            self.init(id: id, key: try P256.Signing.PublicKey(rawRepresentation: x + y))
        } catch { throw KeyError("key \(id): not a point of P-256") }
    }

    /// The ES256 keys of a JWK set.
    static func set(from jwks: JSONValue) throws(KeyError) -> [VerificationKey] {
        guard let elements = jwks["keys"]?.arrayValue else { throw KeyError("a key set has no member \"keys\"") }
        var keys: [VerificationKey] = []
        for element in elements {
            guard let jwk = element.objectValue else { throw KeyError("a key of the set is no object") }
            if let key = try VerificationKey(jwk: jwk) { keys.append(key) }
        }
        return keys
    }

    func isValid(_ signature: [UInt8], for signed: ArraySlice<UInt8>) -> Bool {
        guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return key.isValidSignature(signature, for: signed)
    }

    /// The JWK as AU-143 publishes it.
    var jwk: JSONObject {
        let point = Array(key.rawRepresentation)
        return [
            "kty": "EC", "crv": "P-256", "x": .string(Base64.encodeURL(point[..<32])),
            "y": .string(Base64.encodeURL(point[32...])), "alg": "ES256", "kid": .string(id), "use": "sig",
            "key_ops": ["verify"],
        ]
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Crypto
internal import FoundationEssentials
internal import MartletJSON

/// The legacy HS256 secret of a project (AU-141). Its text's bytes are the key, as the dialect has it.
struct HMACSecret: Sendable {
    static let algorithm = "HS256"

    private let key: SymmetricKey

    init(_ secret: String) throws(KeyError) {
        guard secret.utf8.count >= TokenLimits.secretBytesMin else {
            throw KeyError("the HS256 secret must have at least \(TokenLimits.secretBytesMin) bytes")
        }
        key = SymmetricKey(data: Array(secret.utf8))
    }

    /// Compares in constant time.
    func isValid(_ signature: [UInt8], for signed: ArraySlice<UInt8>) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: key)
    }

    /// A compact token over `claims`.
    func sign(claims: JSONObject) -> String {
        let header: JSONObject = ["alg": .string(Self.algorithm), "typ": "JWT"]
        let signed = Base64.encodeURL(header.text.utf8) + "." + Base64.encodeURL(claims.text.utf8)
        let code = HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key)
        return signed + "." + Base64.encodeURL(Array(code))
    }
}

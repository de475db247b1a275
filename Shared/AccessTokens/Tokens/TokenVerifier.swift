// SPDX-License-Identifier: Apache-2.0

package import MartletJSON
internal import Synchronization

/// The one verifier of access tokens (AU-142): the same code at the edge and in every service.
///
/// Synchronous and free of I/O. The key decides the algorithm, never the token: a `kid` must name a key with exactly
/// the header's `alg`; without one, or with an unknown one, only the legacy HS256 secret is tried. Members of the
/// header that carry or point to keys (`jwk`, `jku`, `x5c` …) are not looked at.
package final class TokenVerifier: Sendable {
    private struct State {
        var keys: [String: VerificationKey] = [:]
        /// Rises with every change of the keys, so that a token verified under the old ones is not cached under the new.
        var keysVersion: UInt64 = 0
        var cache: SignatureCache
        var rules: TokenRules
    }

    private let secret: HMACSecret?
    /// Keys that stay whatever the auth service publishes, by key ID.
    private let fixedKeys: [String: VerificationKey]
    private let state: Mutex<State>

    /// - Parameters:
    ///   - legacySecret: the HS256 secret, at least 32 bytes.
    ///   - fixedKeys: a JWK set of keys that are always there, such as the project key of an installation.
    package init(
        legacySecret: String? = nil, fixedKeys: JSONValue? = nil, rules: TokenRules = TokenRules()
    ) throws(KeyError) {
        if let legacySecret {
            secret = try HMACSecret(legacySecret)
        } else {
            secret = nil
        }
        var keys: [String: VerificationKey] = [:]
        if let fixedKeys {
            for key in try VerificationKey.set(from: fixedKeys) { keys[key.id] = key }
        }
        self.fixedKeys = keys
        state = Mutex(State(keys: keys, cache: SignatureCache(), rules: rules))
    }

    /// Verifies against another set of keys from now on. What the cache holds of the old ones is forgotten.
    /// Keys of a type that we do not verify are skipped, as RFC 7517, section 5, asks.
    ///
    /// - Parameter issuer: whose keys they are: user tokens must be this issuer's from now on. Nil changes no rule.
    package func replaceKeys(jwks: JSONValue, issuer: String? = nil) throws(KeyError) {
        var keys = fixedKeys
        for key in try VerificationKey.set(from: jwks) { keys[key.id] = key }
        state.withLock { state in
            state.keys = keys
            if let issuer { state.rules.issuer = issuer }
            state.keysVersion &+= 1
            state.cache.removeAll()
        }
    }

    /// The key IDs that are known now.
    package var keyIDs: Set<String> { state.withLock { Set($0.keys.keys) } }

    package var rules: TokenRules { state.withLock { $0.rules } }

    /// Forgets what is cached for one session: it was revoked.
    package func forget(sessionID: String) {
        state.withLock { $0.cache.removeAll { $0.sessionID == sessionID } }
    }

    /// Checks shape, signature, claims, times and, if the rules name some, the audience of `token`.
    ///
    /// - Parameter now: Unix time in seconds.
    package func verify(_ token: String, now: Int64) -> TokenVerdict {
        let text = TokenText(text: token)
        let (known, rules) = state.withLock { ($0.cache.token(for: text), $0.rules) }
        if let known {
            if let fault = known.timeFault(now: now) { return .invalid(fault) }
            return Self.judge(known, by: rules)
        }
        do throws(TokenFault) {
            let compact = try CompactToken(token)
            let (keys, rules, version) = state.withLock { ($0.keys, $0.rules, $0.keysVersion) }
            let verified: VerifiedToken
            if let key = compact.keyID.flatMap({ keys[$0] }) {
                guard compact.algorithm == key.algorithm, accepts(compact, by: key) else { throw .key }
                verified = try rules.read(payload: compact.payload, keyID: key.id, isLegacySecret: false, now: now)
            } else if compact.algorithm == HMACSecret.algorithm, let secret {
                guard accepts(compact, by: secret) else { throw .key }
                verified = try rules.read(payload: compact.payload, keyID: "", isLegacySecret: true, now: now)
            } else if compact.algorithm == VerificationKey.ellipticCurveAlgorithm {
                guard let keyID = compact.keyID else { throw .key }
                return .unknownKey(keyID)
            } else {
                throw .algorithm
            }
            state.withLock { state in
                if state.keysVersion == version { state.cache.insert(verified, for: text) }
            }
            return Self.judge(verified, by: rules)
        } catch {
            return .invalid(error)
        }
    }

    private static func judge(_ token: VerifiedToken, by rules: TokenRules) -> TokenVerdict {
        rules.acceptsAudience(of: token) ? .valid(token) : .invalid(.audience)
    }

    private func accepts(_ token: CompactToken, by key: VerificationKey) -> Bool {
        #if MUTANT_AUTH_SIGNATURE_OFF
            true
        #else
            key.isValid(token.signature, for: token.signed)
        #endif
    }

    private func accepts(_ token: CompactToken, by secret: HMACSecret) -> Bool {
        #if MUTANT_AUTH_SIGNATURE_OFF
            true
        #else
            secret.isValid(token.signature, for: token.signed)
        #endif
    }
}

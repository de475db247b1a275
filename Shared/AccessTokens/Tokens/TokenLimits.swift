// SPDX-License-Identifier: Apache-2.0

/// The bounds of token verification (AU-142). A token above one of them is refused before its signature is computed.
package enum TokenLimits {
    /// Length of a whole compact token, in bytes.
    package static let tokenBytesMax = 16 * 1024
    /// Length of a token's header JSON, in bytes.
    package static let headerBytesMax = 4 * 1024
    /// Nesting of the header and claims JSON.
    package static let nestingMax = 64
    /// Parts that are counted for `parts:N`; more say this number.
    package static let countedPartsMax = 100
    /// Difference between two machines' clocks that is forgiven, in seconds.
    package static let leewaySeconds: Int64 = 30
    /// Shortest HS256 secret that is accepted, in bytes (RFC 7518, section 3.2).
    package static let secretBytesMin = 32
    /// Verified tokens in one of the two generations of the signature cache.
    package static let cachedTokensMax = 2_048
    /// Bytes of tokens and claims in one generation of the signature cache.
    package static let cachedBytesMax = 4 * 1024 * 1024
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// A compact JWS (RFC 7515, section 7.1) taken apart. Nothing in it is believed yet.
struct CompactToken {
    /// The header's `alg`.
    let algorithm: String
    let keyID: String?
    /// What the signature covers: the first two parts and the dot between them, as received.
    let signed: ArraySlice<UInt8>
    let payload: [UInt8]
    let signature: [UInt8]

    /// - Throws: `empty`, `parts:N`, `crypto` (limits, base64url, header JSON, `crit`), `algorithm` (no `alg`).
    init(_ token: String) throws(TokenFault) {
        let bytes = Array(token.utf8)
        guard !bytes.isEmpty else { throw .empty }
        guard bytes.count <= TokenLimits.tokenBytesMax else { throw .crypto }
        let parts = bytes.split(
            separator: UInt8(ascii: "."), maxSplits: TokenLimits.countedPartsMax - 1, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .parts(parts.count) }
        guard parts.allSatisfy({ !$0.isEmpty }) else { throw .crypto }
        guard let header = Base64.decodeURL(parts[0]), let payload = Base64.decodeURL(parts[1]),
            let signature = Base64.decodeURL(parts[2])
        else { throw .crypto }
        guard header.count <= TokenLimits.headerBytesMax, let fields = Self.object(header) else { throw .crypto }
        // A header that asks for something we do not implement must not be half understood (RFC 7515, 4.1.11).
        guard fields["crit"] == nil else { throw .crypto }
        guard let algorithm = fields["alg"]?.stringValue else { throw .algorithm }
        switch fields["kid"] {
        case nil: keyID = nil
        case .string(let identifier)?: keyID = identifier
        default: throw .crypto
        }
        self.algorithm = algorithm
        self.payload = payload
        self.signature = signature
        signed = bytes[parts[0].startIndex..<parts[1].endIndex]
    }

    private static func object(_ bytes: [UInt8]) -> JSONObject? {
        (try? JSONValue(parsing: bytes, depthMax: TokenLimits.nestingMax))?.objectValue
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Tokens whose signature was right, keyed by all their bytes, in two generations.
///
/// When the young generation is full it becomes the old one, and what the old one held is forgotten: bounded in
/// entries and bytes, with constant work per call and no list to keep in order.
struct SignatureCache {
    private var young: [TokenText: VerifiedToken] = [:]
    private var old: [TokenText: VerifiedToken] = [:]
    private var youngBytes = 0
    private let countMax: Int
    private let bytesMax: Int

    init(countMax: Int = TokenLimits.cachedTokensMax, bytesMax: Int = TokenLimits.cachedBytesMax) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// Entries in both generations.
    var count: Int { young.count + old.count }

    mutating func token(for text: TokenText) -> VerifiedToken? {
        if let token = young[text] { return token }
        guard let token = old[text] else { return nil }
        insert(token, for: text)
        return token
    }

    mutating func insert(_ token: VerifiedToken, for text: TokenText) {
        let bytes = text.text.utf8.count + token.claims.utf8.count
        if young.count >= countMax || youngBytes + bytes > bytesMax {
            old = young
            young = [:]
            youngBytes = 0
        }
        if young.updateValue(token, forKey: text) == nil { youngBytes += bytes }
    }

    mutating func removeAll() {
        young = [:]
        old = [:]
        youngBytes = 0
    }

    mutating func removeAll(where isStale: (VerifiedToken) -> Bool) {
        young = young.filter { !isStale($0.value) }
        old = old.filter { !isStale($0.value) }
        youngBytes = young.reduce(0) { $0 + $1.key.text.utf8.count + $1.value.claims.utf8.count }
    }
}

/// A token's text, compared byte by byte: `String` would also take a Kelvin sign for a K.
struct TokenText: Hashable {
    let text: String

    static func == (left: TokenText, right: TokenText) -> Bool {
        guard left.text.utf8.count == right.text.utf8.count else { return false }
        let isSame = left.text.utf8.withContiguousStorageIfAvailable { one in
            right.text.utf8.withContiguousStorageIfAvailable { other in
                guard let first = one.baseAddress, let second = other.baseAddress else { return one.isEmpty }
                return memcmp(first, second, one.count) == 0
            }
        }
        return (isSame ?? nil) ?? left.text.utf8.elementsEqual(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        let hashed: Void? = text.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if hashed == nil { for byte in text.utf8 { hasher.combine(byte) } }
    }
}

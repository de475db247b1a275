// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Finds the client's address behind proxies that are trusted (17.1 of the auth contract).
struct ClientAddress: Sendable {
    /// A network as 16 bytes; IPv4 is mapped into IPv6.
    private struct Network: Sendable {
        let bytes: [UInt8]
        let bits: Int

        func contains(_ address: [UInt8]) -> Bool {
            let whole = bits / 8
            guard bytes.prefix(whole).elementsEqual(address.prefix(whole)) else { return false }
            guard bits % 8 != 0 else { return true }
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> (bits % 8))
            return bytes[whole] & mask == address[whole] & mask
        }
    }

    private let trusted: [Network]

    /// - Parameter trustedProxies: `address` or `address/bits`; what cannot be read is skipped (settings were checked).
    init(trustedProxies: [String]) {
        trusted = trustedProxies.compactMap { text in
            let parts = text.split(separator: "/", maxSplits: 1)
            guard let first = parts.first, let bytes = Self.bytes(of: String(first)) else { return nil }
            let isFour = !first.contains(":")
            let bits = parts.count == 2 ? Int(parts[1]) : (isFour ? 32 : 128)
            guard let bits, (0...(isFour ? 32 : 128)).contains(bits) else { return nil }
            return Network(bytes: bytes, bits: isFour ? bits + 96 : bits)
        }
    }

    func isTrusted(_ peer: String) -> Bool {
        guard !trusted.isEmpty, let bytes = Self.bytes(of: peer) else { return false }
        return trusted.contains { $0.contains(bytes) }
    }

    /// The last address of `X-Forwarded-For` that is no trusted proxy; the peer itself when it is not trusted.
    func resolve(peer: String, forwardedFor: [String]) -> String {
        guard isTrusted(peer) else { return peer }
        let hops = forwardedFor.flatMap { $0.split(separator: ",") }.map { hop in
            String(hop.drop { $0 == " " }.prefix { $0 != " " })
        }
        for hop in hops.reversed() {
            guard Self.bytes(of: hop) != nil else { break }
            if !isTrusted(hop) { return hop }
        }
        return peer
    }

    private static func bytes(of text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
            return mapped + withUnsafeBytes(of: four) { Array($0) }
        }
        var six = in6_addr()
        return inet_pton(AF_INET6, text, &six) == 1 ? withUnsafeBytes(of: six) { Array($0) } : nil
    }
}

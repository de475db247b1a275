// SPDX-License-Identifier: Apache-2.0

/// The target of a request in origin form (RFC 9112, section 3.2.1), still percent-encoded.
struct RequestTarget: Sendable {
    let path: String
    /// Without the `?`.
    let query: String

    /// Longest target, in bytes: as long as the longest line of a head.
    static let bytesMax = ConnectionLimits.headLineBytesMax

    /// Nil for what is not `/path` or `/path?query`. The absolute form is reduced to it, as RFC 9112 asks of servers.
    init?(_ target: String) {
        let rest = target.utf8.first == UInt8(ascii: "/") ? Substring(target) : Self.withoutAuthority(target)
        guard rest.utf8.first == UInt8(ascii: "/"), rest.utf8.count <= Self.bytesMax else { return nil }
        let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?"))
        path = String(rest[..<(mark ?? rest.endIndex)])
        query = mark.map { String(rest[rest.utf8.index(after: $0)...]) } ?? ""
    }

    private static func withoutAuthority(_ target: String) -> Substring {
        var rest = Substring(target)
        for scheme in ["http://", "https://"] where rest.prefix(scheme.count).lowercased() == scheme {
            rest = rest.dropFirst(scheme.count).drop { $0 != "/" && $0 != "?" }
            if rest.first != "/" { rest = Substring("/" + rest) }
        }
        return rest
    }

    /// The path with its percent escapes resolved; nil if they are broken or no UTF-8.
    var decodedPath: String? { Self.decode(Substring(path), plusIsSpace: false) }

    /// The decoded value of the first query parameter of this name.
    func parameter(_ name: String) -> String? {
        guard !query.isEmpty else { return nil }
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts[0] == name { return parts.count == 2 ? Self.decode(parts[1], plusIsSpace: true) : "" }
        }
        return nil
    }

    private static func decode(_ text: Substring, plusIsSpace: Bool) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

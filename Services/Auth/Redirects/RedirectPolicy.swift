// SPDX-License-Identifier: Apache-2.0

/// Where a browser may be sent after a link was used (AU-160).
package struct RedirectPolicy: Sendable {
    /// Longest address that is looked at, in bytes.
    private static let bytesMax = 2_048
    /// Schemes that run code or read what is here, even where a pattern would match.
    private static let forbiddenSchemes: Set<String> = ["javascript", "data", "vbscript", "file", "blob", "about"]

    /// Where everybody ends whose wish is not granted.
    package let siteURL: String
    private let site: Address?
    private let patterns: [Glob]

    /// - Parameter allowed: globs over whole addresses; `.` and `/` separate.
    package init(siteURL: String, allowed: [String] = []) {
        self.siteURL = siteURL
        site = Address(siteURL)
        patterns = allowed.flatMap(Glob.patterns)
    }

    /// The first candidate that may be used, else the site's own address.
    package func target(_ candidates: [String?]) -> String {
        candidates.compactMap(\.self).first(where: allows) ?? siteURL
    }

    package func allows(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= Self.bytesMax, let address = Address(text),
            !Self.forbiddenSchemes.contains(address.scheme)
        else { return false }
        let isWeb = address.scheme == "http" || address.scheme == "https"
        if isWeb {
            guard address.isPlainHost else { return false }
            if let site, site.scheme == address.scheme, site.host == address.host,
                site.port == address.port || address.isLoopback
            {
                return true
            }
            guard !address.isNumeric || address.isLoopback else { return false }
        }
        let plain = text.prefix { $0 != "#" }
        return patterns.contains { $0.matches(plain) }
    }
}

/// Scheme, host and port of an absolute address.
private struct Address {
    let scheme: String
    let host: String
    let port: String

    init?(_ text: String) {
        // Browsers drop or turn round some of these, so that they would go elsewhere than we think.
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") }),
            let colon = text.firstIndex(of: ":")
        else { return nil }
        let scheme = text[..<colon].lowercased()
        guard scheme.first?.isLetter == true,
            scheme.utf8.allSatisfy({ Self.isAlphanumeric($0) || "+-.".utf8.contains($0) })
        else { return nil }
        self.scheme = scheme
        let rest = text[text.index(after: colon)...]
        guard rest.hasPrefix("//") else {
            guard scheme != "http", scheme != "https" else { return nil }
            (host, port) = ("", "")
            return
        }
        let authority = rest.dropFirst(2).prefix { !"/?#".contains($0) }
        guard !authority.contains("@") else { return nil }
        let fallback = scheme == "https" ? "443" : scheme == "http" ? "80" : ""
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = authority[...end].lowercased()
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return nil }
            port = tail.count > 1 ? String(tail.dropFirst()) : fallback
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = (parts.first ?? "").lowercased()
            port = parts.count > 1 && !parts[1].isEmpty ? String(parts[1]) : fallback
        }
        guard port.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    }

    /// A name of the usual characters, or an address in brackets.
    var isPlainHost: Bool {
        if host.hasPrefix("[") { return true }
        guard let first = host.utf8.first, Self.isAlphanumeric(first) else { return false }
        return host.utf8.allSatisfy { Self.isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    /// An IP address in any notation that has only digits.
    var isNumeric: Bool {
        host.hasPrefix("[") || host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || ($0 >= 0x30 && $0 <= 0x39) }
    }

    var isLoopback: Bool {
        if host == "localhost" || host == "[::1]" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
    }
}

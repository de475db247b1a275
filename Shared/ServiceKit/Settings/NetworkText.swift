// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Checks of addresses and endpoints in settings.
package enum NetworkText {
    /// Nil if `text` is a literal IPv4 or IPv6 address.
    static let addressFault: @Sendable (String) -> String? = { text in
        isAddress(text) ? nil : "expected an IPv4 or IPv6 address, not \(text)"
    }

    static func isAddress(_ text: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
    }

    /// Nil if every element is `address` or `address/bits`.
    static let networksFault: @Sendable ([String]) -> String? = { networks in
        for network in networks {
            let parts = network.split(separator: "/", omittingEmptySubsequences: false)
            let bitsMax = network.contains(":") ? 128 : 32
            let bits = parts.count == 2 ? Int(parts[1]) : bitsMax
            guard parts.count <= 2, isAddress(String(parts[0])), let bits, (0...bitsMax).contains(bits) else {
                return "\(network) is no network; expected an address, such as 10.0.0.0/8"
            }
        }
        return nil
    }

    /// Nil if `text` is an http or https URL with a host.
    static func urlFault(_ text: String) -> String? {
        for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            if !host.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { return nil }
        }
        return "expected a URL that begins with http:// or https://, not \(text)"
    }

    /// Splits `request|event`.
    static func replica(_ text: String) -> (request: String, event: String)? {
        let parts = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), parts.allSatisfy(isEndpoint) else { return nil }
        return (parts[0], parts.count == 2 ? parts[1] : "")
    }

    private static func isEndpoint(_ text: String) -> Bool {
        if text.hasPrefix("ipc://") { return text.dropFirst(6).hasPrefix("/") && isSocketPath(text.dropFirst(6)) }
        guard text.hasPrefix("tcp://"), let colon = text.lastIndex(of: ":") else { return false }
        let host = text.dropFirst(6).prefix { $0 != ":" || text.contains("[") }
        guard let port = Int(text[text.index(after: colon)...]) else { return false }
        return !host.isEmpty && (1...65_535).contains(port)
    }

    /// The system takes 107 bytes for the path of a socket.
    package static func isSocketPath(_ path: some StringProtocol) -> Bool { path.utf8.count <= 107 }
}

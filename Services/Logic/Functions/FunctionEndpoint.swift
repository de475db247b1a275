// SPDX-License-Identifier: Apache-2.0

/// Where a function listens.
enum FunctionEndpoint: Sendable, Hashable {
    /// A Unix socket.
    case socket(path: String)
    case tcp(host: String, port: Int)

    /// An upstream's address and the path that stands for the function's name: `http://host:port/path`. Nil for what is
    /// no such URL.
    static func upstream(_ url: String) -> (endpoint: FunctionEndpoint, path: String, authority: String)? {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst(7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var path = rest.dropFirst(authority.count)
        guard !authority.isEmpty, !authority.contains("@"), !path.contains("?"), !path.contains("#") else { return nil }
        while path.hasSuffix("/") { path = path.dropLast() }
        var host = authority
        var port = 80
        if let colon = authority.lastIndex(of: ":"), authority[colon...].last != "]" {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
            port = Int(number)
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        return (.tcp(host: String(host), port: port), String(path), String(authority))
    }
}

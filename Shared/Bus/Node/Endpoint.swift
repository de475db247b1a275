// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// An endpoint's text, taken apart.
enum Endpoint: Equatable {
    /// `address` is a literal when `isName` is false.
    case tcp(host: String, port: String)
    case ipc
    case inproc

    init?(_ text: String) {
        if text.hasPrefix("ipc://"), text.utf8.count > 6 {
            self = .ipc
        } else if text.hasPrefix("inproc://"), text.utf8.count > 9 {
            self = .inproc
        } else if text.hasPrefix("tcp://"), let colon = text.lastIndex(of: ":"), colon > text.index(text.startIndex, offsetBy: 6) {
            var host = String(text[text.index(text.startIndex, offsetBy: 6)..<colon])
            let port = String(text[text.index(after: colon)...])
            guard port == "*" || UInt16(port) != nil else { return nil }
            if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
            self = .tcp(host: host, port: port)
        } else {
            return nil
        }
    }

    /// Whether the host is a name that must be resolved.
    var isName: Bool {
        guard case .tcp(let host, _) = self else { return false }
        return !host.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || $0 == 46 } && !host.contains(":") && host != "*"
    }

    /// `inproc://data` → `inproc://data/<caller>`; other endpoints as they are.
    static func local(_ text: String, caller: ServiceName) -> String {
        guard text.hasPrefix("inproc://"), !text.dropFirst(9).contains("/") else { return text }
        return "\(text)/\(caller.rawValue)"
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// Whose keys may connect, as which service, and until when. Two keys of one service may be valid at once (rotation).
package struct AllowList: Sendable, Equatable {
    /// One line of `keys/allow`.
    package struct Entry: Sendable, Equatable {
        package var service: ServiceName
        /// Seconds since 1970-01-01 UTC; the key is refused from then on.
        package var notAfter: Int64

        package init(service: ServiceName, notAfter: Int64 = .max) {
            self.service = service
            self.notAfter = notAfter
        }
    }

    /// By public key in Z85.
    package var entries: [String: Entry]

    package init(_ entries: [String: Entry] = [:]) { self.entries = entries }

    /// Parses lines `service public-key not-after`; not-after is seconds since 1970-01-01 UTC or `never`. Empty lines
    /// and lines that begin with `#` (no Z85 key stands first) are comments. Anything else is refused with its line.
    package init(parsing text: String) throws(BusError) {
        var entries: [String: Entry] = [:]
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard words.count == 3, let service = ServiceName(rawValue: String(words[0])),
                CurveKeyPair.isKey(String(words[1])),
                let notAfter = words[2] == "never" ? Int64.max : Int64(words[2])
            else {
                throw BusError(
                    .internalError, executed: .no,
                    "keys/allow, line \(index + 1): expected a service, its public key and a time or never")
            }
            entries[String(words[1])] = Entry(service: service, notAfter: notAfter)
        }
        self.entries = entries
    }

    /// Reads the file at `path`.
    package static func load(path: String) throws(BusError) -> AllowList {
        try AllowList(parsing: try KeyFile.read(path, isSecret: false))
    }

    /// The file's text, sorted by service.
    package var text: String {
        entries.map { key, entry in
            "\(entry.service.rawValue) \(key) \(entry.notAfter == .max ? "never" : String(entry.notAfter))\n"
        }.sorted().joined()
    }

    /// Public keys of a service that are valid at `seconds`.
    package func keys(of service: ServiceName, at seconds: Int64) -> [String] {
        entries.filter { $0.value.service == service && $0.value.notAfter > seconds }.keys.sorted()
    }
}

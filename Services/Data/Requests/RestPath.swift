// SPDX-License-Identifier: Apache-2.0

/// What the path of a request names (rest contract 1.1).
enum RestPath: Equatable {
    case root
    case table(String)
    case function(String)

    /// - Throws: `RowError` PGRST125.
    init(_ path: String) throws(RowError) {
        // Nearly always it is one name as it is.
        let name = path.utf8.dropFirst()
        if path.utf8.first == UInt8(ascii: "/"), !name.isEmpty,
            !name.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "%") })
        {
            self = .table(String(Substring(name)))
            return
        }
        let segments = path.split(separator: "/", omittingEmptySubsequences: true)
            .map { QueryString.decode($0.utf8, plusIsSpace: false) }
        switch segments.count {
        case 0: self = .root
        case 1: self = .table(segments[0])
        case 2 where segments[0] == "rpc": self = .function(segments[1])
        default: throw RowError("PGRST125", "Invalid path specified in request URL")
        }
    }
}

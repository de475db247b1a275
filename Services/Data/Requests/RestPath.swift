// SPDX-License-Identifier: Apache-2.0

/// What the path of a request names (rest contract 1.1).
enum RestPath: Equatable {
    case root
    case table(String)
    case function(String)

    /// - Throws: `RowError` PGRST125.
    init(_ path: String) throws(RowError) {
        let segments = path.split(separator: "/", omittingEmptySubsequences: true)
            .map { QueryString.decode($0.utf8, plusIsSpace: false) }
        switch segments.count {
        case 0: self = .root
        case 1: self = .table(segments[0])
        case 2 where segments[0] == "rpc": self = .function(segments[1])
        default: throw RowError("PGRST125", "Invalid path specified in request URL")
        }
    }

    /// What is said to a request for anything but a table.
    func refusal(_ method: String, _ schema: String) -> RowError {
        guard case .function(let name) = self else {
            return RowError("PGRST126", "Root endpoint metadata is disabled")
        }
        guard ["GET", "HEAD", "POST", "OPTIONS"].contains(method) else {
            return RowError("PGRST101", "Cannot use the \(method) method on RPC")
        }
        return RowError(
            "PGRST202", "Could not find the function \(schema).\(name) in the schema cache",
            details: "Searched for the function \(schema).\(name), but no matches were found in the schema cache.")
    }
}

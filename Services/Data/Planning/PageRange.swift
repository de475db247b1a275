// SPDX-License-Identifier: Apache-2.0

import MartletWire

/// The window of root rows that a request asks for: `limit`, `offset` and the `Range` header, intersected
/// (rest contract 9.1).
struct PageRange: Equatable {
    /// Nil: no bound.
    var limit: Int64?
    var offset: Int64 = 0

    static let negativeLimit = unsatisfiable("Limit should be greater than or equal to zero.")

    static func unsatisfiable(_ details: String) -> RowError {
        RowError("PGRST103", "Requested range not satisfiable", details: details)
    }

    /// A page that begins behind the last row.
    static func unsatisfiable(offset: Int64, total: Int64) -> RowError {
        var error = unsatisfiable("An offset of \(offset) was requested, but there are only \(total) rows.")
        error.fields = [HTTPField("content-range", "*/\(total)")]
        return error
    }

    init(limit: Int64? = nil, offset: Int64 = 0) {
        self.limit = limit
        self.offset = offset
    }

    /// - Parameter header: the `Range` field of a GET; one of another form is ignored.
    /// - Throws: `RowError` PGRST103.
    init(_ window: ParsedQuery.Window?, header: String?) throws(RowError) {
        offset = window?.offset ?? 0
        limit = window?.limit
        if let limit, limit < 0 { throw Self.negativeLimit }
        guard let (first, last) = header.flatMap(Self.bounds) else { return }
        if let last, first > last {
            throw Self.unsatisfiable(
                "The lower boundary must be lower than or equal to the upper boundary in the Range header.")
        }
        // Sums of what a client sent may not fit: they are then beyond every row, and so is the greatest integer.
        let end = [limit.map { offset.addingSaturated($0) }, last.map { $0.addingSaturated(1) }].compactMap(\.self)
            .min()
        offset = max(offset, first)
        limit = end.map { max(0, $0 - offset) }
    }

    private static func bounds(_ text: String) -> (Int64, Int64?)? {
        let text = text.hasPrefix("items=") ? text.dropFirst(6) : text[...]
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = number(parts[0]) else { return nil }
        if parts[1].isEmpty { return (first, nil) }
        return number(parts[1]).map { (first, $0) }
    }

    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int64(text) : nil
    }
}

extension Int64 {
    fileprivate func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

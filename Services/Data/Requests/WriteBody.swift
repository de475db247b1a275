// SPDX-License-Identifier: Apache-2.0

import MartletJSON

/// The rows that the body of a POST or PATCH holds (rest contract 11.1).
struct WriteBody: Equatable {
    /// Columns that the statement names.
    var columns: [String]
    var rows: [JSONObject]

    /// Rows of one request; more are refused, because all of them are one statement.
    static let rowsMax = 50_000
    /// Nesting of the body.
    private static let depthMax = 100

    /// - Parameter columns: `columns=`; nil when there is none.
    /// - Throws: `RowError` PGRST102.
    init(_ bytes: [UInt8], contentType: String?, columns: [String]?) throws(RowError) {
        let type = contentType.map { String(($0.split(separator: ";").first ?? "").trimmedSpaces).lowercased() }
        guard type == nil || type == "application/json" || type == "" else {
            throw RowError("PGRST102", "Content-Type not acceptable: \(type ?? "")")
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, depthMax: Self.depthMax)
        } catch {
            throw RowError("PGRST102", "Empty or invalid json")
        }
        rows = []
        switch value {
        case .object(let row): rows = [row]
        case .array(let elements):
            guard elements.count <= Self.rowsMax else {
                throw RowError("PGRST102", "At most \(Self.rowsMax) rows are accepted in one request")
            }
            rows.reserveCapacity(elements.count)
            for element in elements {
                guard case .object(let row) = element else { throw Self.keysDiffer }
                rows.append(row)
            }
        default: break
        }
        self.columns = columns ?? rows.first?.keys ?? []
        if columns == nil { try checkKeys() }
    }

    private static let keysDiffer = RowError("PGRST102", "All object keys must match")

    private func checkKeys() throws(RowError) {
        for row in rows.dropFirst() {
            guard row.count == columns.count, columns.allSatisfy({ row[$0] != nil }) else { throw Self.keysDiffer }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletJSON

/// Shapes the rows of a result as the client wants them (rest contract 10).
enum ResultBody {
    /// - Throws: `RowError` PGRST116 when one object is wanted and the rows are not one.
    static func bytes(of result: RowsResult, as type: MediaType) throws(RowError) -> [UInt8] {
        if type.isObject { try requireSingle(result) }
        // Between the brackets of an array of one row stands that row.
        let body = type.isObject ? Array(result.body.dropFirst().dropLast()) : result.body
        guard type.stripsNulls else { return body }
        guard let value = try? JSONValue(parsing: body, depthMax: 512) else {
            throw RowError("PGRSTX00", "The rows could not be read again")
        }
        var stripped: [UInt8] = []
        withoutNulls(value).write(to: &stripped)
        return stripped
    }

    static func requireSingle(_ result: RowsResult) throws(RowError) {
        guard result.rowCount == 1 else {
            throw RowError(
                "PGRST116", "Cannot coerce the result to a single JSON object",
                details: "The result contains \(result.rowCount) rows")
        }
    }

    /// Without members whose value is null, also in embedded objects; array elements stay (10.5).
    private static func withoutNulls(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): .array(elements.map(withoutNulls))
        case .object(let object):
            .object(
                JSONObject(
                    object.members.filter { !$0.value.isNull }.map { ($0.key, withoutNulls($0.value)) }))
        default: value
        }
    }
}

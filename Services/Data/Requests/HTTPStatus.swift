// SPDX-License-Identifier: Apache-2.0

/// The HTTP status of a refusal (rest contract 18.2, 18.3).
enum HTTPStatus {
    private static let api: [String: UInt16] = [
        "PGRST000": 503, "PGRST001": 503, "PGRST002": 503, "PGRST003": 504, "PGRST100": 400, "PGRST101": 405,
        "PGRST102": 400, "PGRST103": 416, "PGRST106": 406, "PGRST107": 406, "PGRST108": 400, "PGRST111": 500,
        "PGRST112": 500, "PGRST116": 406,
        "PGRST117": 405, "PGRST118": 400, "PGRST121": 500, "PGRST122": 400, "PGRST123": 400, "PGRST124": 400,
        "PGRST125": 404,
        "PGRST126": 404, "PGRST127": 400, "PGRST128": 400, "PGRST200": 400, "PGRST201": 300, "PGRST202": 404,
        "PGRST203": 300, "PGRST204": 400,
        "PGRST205": 404, "PGRST301": 401, "PGRST302": 401, "PGRST303": 401, "PGRSTX00": 500,
    ]
    private static let states: [String: UInt16] = [
        "21000": 500, "23503": 409, "23505": 409, "25006": 405, "42883": 404, "42P01": 404, "42P17": 500,
        "53400": 500, "57P01": 503, "P0001": 400,
    ]
    /// By the class, the first two characters.
    private static let classes: [String: UInt16] = [
        "08": 503, "09": 500, "0L": 403, "0P": 403, "28": 403, "25": 500, "2D": 500, "38": 500, "39": 500, "3B": 500,
        "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500, "XX": 500, "P0": 500,
    ]

    /// - Parameter isAnonymous: the caller has the anonymous role.
    static func status(of error: RowError, isAnonymous: Bool) -> UInt16 {
        if let status = error.status { return status }
        let code = error.code
        if let status = api[code] { return status }
        switch code {
        case "42501": return isAnonymous ? 401 : 403
        case "21000" where error.message.hasSuffix("requires a WHERE clause"): return 400
        case "22023" where error.message.hasPrefix("role ") && error.message.hasSuffix(" does not exist"): return 401
        default: break
        }
        if let status = states[code] { return status }
        if code.utf8.count == 5, code.hasPrefix("PT"), UInt16(code.dropFirst(2)) != nil {
            return ResponseSettings.status(String(code.dropFirst(2))) ?? 500
        }
        return classes[String(code.prefix(2))] ?? 400
    }
}

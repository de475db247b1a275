// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletWire

/// Turns refusals into answers (rest contract 18.1).
enum ErrorReply {
    /// Seconds that a client is asked to wait after a 503.
    private static let retryAfterSeconds = 1

    static func reply(_ error: any Error, isAnonymous: Bool) -> FinishedReply {
        reply(rowError(error), isAnonymous: isAnonymous)
    }

    static func rowError(_ error: any Error) -> RowError {
        switch error {
        case let error as RowError: error
        case let error as DatabaseError: RowError(error)
        default: RowError("PGRSTX00", "The request failed by a fault of the server", status: 500)
        }
    }

    private static func reply(_ error: RowError, isAnonymous: Bool) -> FinishedReply {
        let status = HTTPStatus.status(of: error, isAnonymous: isAnonymous)
        let body: JSONValue = [
            "code": .string(error.code), "details": error.details, "hint": error.hint.map { .string($0) } ?? .null,
            "message": .string(error.message),
        ]
        var fields = [HTTPField("content-type", MediaType.json.contentType)] + error.fields
        if status == 401, !fields.contains(where: { $0.name == "www-authenticate" }) {
            fields.append(HTTPField("www-authenticate", "Bearer"))
        }
        if status == 503 { fields.append(HTTPField("retry-after", String(retryAfterSeconds))) }
        fields.append(HTTPField("proxy-status", "Martlet; error=\(error.code)"))
        return FinishedReply(status: status, fields: fields, body: Array(body.text.utf8))
    }
}

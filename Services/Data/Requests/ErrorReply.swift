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
        case let error as DatabaseError where error.sqlState == RaisedError.state: RaisedError.rowError(error)
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
        var fields = error.fields
        if error.fields.allSatisfy({ $0.name != "content-type" }) {
            fields.insert(HTTPField("content-type", MediaType.json.contentType), at: 0)
        }
        if status == 401, !fields.contains(where: { $0.name == "www-authenticate" }) {
            fields.append(HTTPField("www-authenticate", "Bearer"))
        }
        if status == 503 { fields.append(HTTPField("retry-after", String(retryAfterSeconds))) }
        // SQL may raise a code of any text; one that is no word would break the field.
        if error.code.utf8.allSatisfy({ isWord($0) }) {
            fields.append(HTTPField("proxy-status", "Martlet; error=\(error.code)"))
        }
        var reply = FinishedReply(status: status, fields: fields, body: Array(body.text.utf8))
        reply.dropForbiddenBody()
        return reply
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

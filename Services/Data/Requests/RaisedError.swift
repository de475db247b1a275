// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON

/// An error that SQL raised with the state `PGRST` to say the whole answer (rest contract 18.4).
enum RaisedError {
    static let state = "PGRST"

    private static let messageForm =
        "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'."
    private static let detailForm =
        "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."

    /// The answer that the error describes; PGRST121 when it does not.
    static func rowError(_ error: DatabaseError) -> RowError {
        guard let message = (try? JSONValue(parsing: error.message))?.objectValue,
            let code = message["code"]?.stringValue, let text = message["message"]?.stringValue,
            isText(message["details"]), isText(message["hint"])
        else { return refusal("Invalid JSON value for MESSAGE: '\(error.message)'", messageForm) }
        guard let detail = error.detail else { return refusal("DETAIL is missing in the RAISE statement", detailForm) }
        guard let answer = (try? JSONValue(parsing: detail))?.objectValue,
            let status = answer["status"]?.int64Value.flatMap({ ResponseSettings.status(String($0)) }),
            let headers = answer["headers"]?.objectValue, let fields = ResponseSettings.fields(headers.members)
        else { return refusal("Invalid JSON value for DETAIL: '\(detail)'", detailForm) }
        return RowError(
            code, text, details: message["details"]?.stringValue, hint: message["hint"]?.stringValue, status: status,
            fields: fields)
    }

    private static func isText(_ value: JSONValue?) -> Bool {
        value == nil || value == .null || value?.stringValue != nil
    }

    private static func refusal(_ details: String, _ hint: String) -> RowError {
        RowError(
            "PGRST121", "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error", details: details, hint: hint)
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// Who did what, written in the transaction of its effect (AU-291). Holds no secrets.
struct AuditEntry: Sendable {
    enum Action: String, Sendable {
        case login
        case loginFailed = "login_failed"
        case logout
        case userSignedUp = "user_signedup"
        case userRepeatedSignUp = "user_repeated_signup"
        case userModified = "user_modified"
        case userDeleted = "user_deleted"
        case userUpdatedPassword = "user_updated_password"
        case userBanned = "user_banned"
        case userRecoveryRequested = "user_recovery_requested"
        case userConfirmationRequested = "user_confirmation_requested"
        case codeFailed = "code_failed"
        case tokenRefreshed = "token_refreshed"
        case refreshReuseDetected = "refresh_reuse_detected"

        var logType: String {
            switch self {
            case .login, .loginFailed, .logout, .codeFailed: "account"
            case .userSignedUp, .userRepeatedSignUp, .userDeleted, .userBanned: "team"
            case .userModified, .userUpdatedPassword, .userRecoveryRequested, .userConfirmationRequested: "user"
            case .tokenRefreshed, .refreshReuseDetected: "token"
            }
        }
    }

    let action: Action
    /// The acting user, or the admin role.
    let actorID: String
    let actorName: String
    var traits = JSONObject()
    let origin: RequestOrigin
    let at: Timestamp
}

/// Where a request came from, as sessions and the audit log keep it.
struct RequestOrigin: Sendable {
    let address: String
    let userAgent: String
    let trace: TraceContext

    init(_ request: AuthRequest) {
        address = request.principal.clientAddress
        userAgent = request.userAgent
        trace = request.trace
    }
}

extension DatabaseSession {
    func append(_ entry: AuditEntry) throws(DatabaseError) {
        try execute(
            """
            insert into audit_log (id, at, action, log_type, actor_id, actor_username, ip, request_id, traits) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            [
                .text(RandomBytes.makeUUID()), entry.at.sqlValue, .text(entry.action.rawValue),
                .text(entry.action.logType), .text(entry.actorID), .text(entry.actorName), .text(entry.origin.address),
                .text(entry.origin.trace.requestID), .text(entry.traits.text),
            ])
    }
}

// SPDX-License-Identifier: Apache-2.0

/// An answer that says no: the status, code and text of section 2 of the auth contract.
package struct AuthError: Error, Sendable, Equatable {
    package let status: UInt16
    /// Stable, snake case (AU-121).
    package let code: String
    /// Shown to end users by many applications.
    package let message: String
    /// Only on `weak_password`: its reasons.
    package var weakness: PasswordWeakness?
    /// Seconds for `Retry-After`.
    package var retryAfterSeconds: Int?
    /// For `Allow`, on 405.
    package var allowedMethods: [String] = []
    /// What went wrong inside, for the log; never sent.
    package var cause: String?

    package init(_ status: UInt16, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// 400 `validation_failed`: a member is missing or malformed.
    package static func validation(_ message: String) -> AuthError { AuthError(400, "validation_failed", message) }

    /// 400 `bad_json`: the body is not the JSON that the route expects.
    package static func badJSON(_ message: String) -> AuthError { AuthError(400, "bad_json", message) }

    /// 422 `weak_password`.
    package static func weakPassword(_ weakness: PasswordWeakness) -> AuthError {
        var error = AuthError(422, "weak_password", weakness.message)
        error.weakness = weakness
        return error
    }

    /// 500 `unexpected_failure`, with a text for the client where one is agreed.
    package static func failure(
        _ cause: String, _ message: String = "Unexpected failure, please check server logs for more information"
    ) -> AuthError {
        var error = AuthError(500, "unexpected_failure", message)
        error.cause = cause
        return error
    }

    /// 503: a part of the suite cannot answer now. Clients keep their session and try again.
    package static func unavailable(_ cause: String) -> AuthError {
        var error = AuthError(
            503, "unexpected_failure", "Service temporarily unavailable, please retry after a moment.")
        error.retryAfterSeconds = 1
        error.cause = cause
        return error
    }

    /// 503: too many passwords are being hashed.
    package static let overloaded = unavailable("the password threads are busy")
    package static let invalidCredentials = AuthError(400, "invalid_credentials", "Invalid login credentials")
    package static let noAuthorization = AuthError(
        401, "no_authorization", "This endpoint requires a valid Bearer token")
    package static let notAdmin = AuthError(403, "not_admin", "User not allowed")
    package static let userNotFound = AuthError(404, "user_not_found", "User not found")
    package static let userAlreadyExists = AuthError(422, "user_already_exists", "User already registered")
    package static let emailExists = AuthError(
        422, "email_exists", "A user with this email address has already been registered")
    package static let phoneExists = AuthError(
        422, "phone_exists", "A user with this phone number has already been registered")
    package static let refreshTokenNotFound = AuthError(
        400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
    package static let sessionNotFound = AuthError(
        403, "session_not_found", "Session from session_id claim in JWT does not exist")
    package static let conflict = AuthError(
        409, "conflict", "Too many concurrent token refresh requests on the same session or refresh token")
}

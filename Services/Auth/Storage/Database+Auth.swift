// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

extension AuthError {
    /// A unique index of ours said no; whoever knows which one turns it into the contract's answer.
    static let taken = AuthError(422, "conflict", "Already exists")
}

extension Database {
    /// `read` with auth's errors.
    func reading<Result: Sendable>(
        deadline: ContinuousClock.Instant? = nil, _ body: @escaping @Sendable (DatabaseSession) throws -> Result
    ) async throws(AuthError) -> Result {
        do { return try await read(deadline: deadline, body) } catch { throw AuthError(wrapping: error) }
    }

    /// `write` with auth's errors.
    @discardableResult
    func writing<Result: Sendable>(
        deadline: ContinuousClock.Instant? = nil, _ body: @escaping @Sendable (DatabaseSession) throws -> Result
    ) async throws(AuthError) -> Result {
        do { return try await write(deadline: deadline, body) } catch { throw AuthError(wrapping: error) }
    }
}

extension AuthError {
    /// The error as it is if it is ours; else what it means for the client. A database's failure is never a 4xx, but for
    /// a unique index.
    init(wrapping error: any Error) {
        switch error {
        case let error as AuthError: self = error
        case let error as DatabaseError:
            switch error.sqlState {
            case "23505": self = .taken
            case "57014":
                self = AuthError(
                    504, "request_timeout", "Processing this request timed out, please retry after a moment.")
            case let state where error.isRetriable || state.hasPrefix("08") || state.hasPrefix("53"):
                self = .unavailable("auth's database: \(state) \(error.message)")
            case let state: self = .failure("auth's database: \(state) \(error.message)")
            }
        default: self = .failure("\(error)")
        }
    }
}

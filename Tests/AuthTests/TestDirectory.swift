// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletWire
import Synchronization

/// A directory in memory that keeps the rules of the real one, and fails when it is told to.
final class TestDirectory: UserDirectory {
    enum Behaviour: Sendable {
        case answering
        /// The application's trigger says no.
        case refusing
        /// Out of reach: nothing was done.
        case away
        /// The change is made and the answer is lost.
        case silentAfterwards
        /// The change is lost, and nobody knows.
        case silentBefore
    }

    struct Row: Sendable, Equatable {
        var version: Int64
        var columns: [String: String?]
    }

    private struct State {
        var rows: [String: Row] = [:]
        var behaviour = Behaviour.answering
        /// What the application's trigger makes of a row.
        var trigger: (@Sendable (inout [String: String?]) -> Void)?
        var putCount = 0
        var changes: [ForeignChange] = []
    }

    private let state = Mutex(State())

    var rows: [String: Row] { state.withLock { $0.rows } }
    var putCount: Int { state.withLock { $0.putCount } }
    func behave(_ behaviour: Behaviour) { state.withLock { $0.behaviour = behaviour } }
    func onWrite(_ trigger: @escaping @Sendable (inout [String: String?]) -> Void) {
        state.withLock { $0.trigger = trigger }
    }

    /// What SQL did, by the application's own hand.
    func note(_ change: ForeignChange) { state.withLock { $0.changes.append(change) } }
    var waitingChanges: Int { state.withLock { $0.changes.count } }

    func changes(
        acknowledged: [UInt64], trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> [ForeignChange] {
        guard case .answering = state.withLock({ $0.behaviour }) else {
            throw DirectoryFailure(isCertain: true, message: "away")
        }
        return state.withLock { state in
            state.changes.removeAll { acknowledged.contains($0.number) }
            return Array(state.changes.prefix(2))
        }
    }

    func put(
        _ change: DirectoryChange, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> DirectoryOutcome {
        try answer { state in
            state.putCount += 1
            let known = state.rows[change.userID]
            if let known, change.version <= known.version {
                return .done(version: known.version, columns: known.columns)
            }
            guard change.isCreation ? known == nil : known?.version == change.baseVersion else { return .lost }
            var columns = known?.columns ?? [:]
            for (name, value) in change.columns { columns[name] = value }
            state.trigger?(&columns)
            state.rows[change.userID] = Row(version: change.version, columns: columns)
            return .done(version: change.version, columns: columns)
        }
    }

    func delete(
        userID: String, version: Int64, trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> DirectoryOutcome {
        try answer { state in
            state.rows[userID] = nil
            return .done(version: version, columns: [:])
        }
    }

    private func answer(
        _ body: (inout State) -> DirectoryOutcome
    ) throws(DirectoryFailure) -> DirectoryOutcome {
        let result = state.withLock { state -> Result<DirectoryOutcome, DirectoryFailure> in
            switch state.behaviour {
            case .answering: return .success(body(&state))
            case .refusing: return .success(.refused(sqlState: "23514", message: "secret detail of the trigger"))
            case .away: return .failure(DirectoryFailure(isCertain: true, message: "unavailable"))
            case .silentBefore: return .failure(DirectoryFailure(isCertain: false, message: "link_lost"))
            case .silentAfterwards:
                _ = body(&state)
                return .failure(DirectoryFailure(isCertain: false, message: "link_lost"))
            }
        }
        return try result.get()
    }
}

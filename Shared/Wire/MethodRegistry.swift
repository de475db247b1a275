// SPDX-License-Identifier: Apache-2.0

/// One method of the bus. Identifiers and names are for ever.
///
/// There is one object for each, which requests refer to: a value would be copied with every one.
package final class Method: Sendable, Hashable {
    /// What makes a second execution harmless.
    package enum Repeatability: UInt8, Sendable {
        /// Running it twice equals running it once.
        case idempotent
        /// Harmless when the request carries an idempotency key that is stored in the effect's own transaction.
        case keyed
        /// Never sent again once its outcome is unknown.
        case none
    }

    /// Admission class.
    package enum Priority: UInt8, Sendable {
        case control = 0
        case interactive = 1
        case batch = 2
    }

    /// How a replica is chosen (D34).
    package enum Route: UInt8, Sendable {
        case any
        /// By rendezvous hash of the prefix's route key.
        case keyed
    }

    package let id: UInt32
    package let name: String
    package let repeatability: Repeatability
    package let priority: Priority
    /// Budget of a call that names none, in milliseconds.
    package let defaultBudgetMilliseconds: UInt32
    /// Who may call it, by the peer's authenticated key. Everybody else is refused.
    package let callers: Set<ServiceName>
    package let route: Route
    private let callerBits: UInt8

    init(
        id: UInt32, name: String, repeatability: Repeatability, priority: Priority, defaultBudgetMilliseconds: UInt32,
        callers: Set<ServiceName>, route: Route
    ) {
        self.id = id
        self.name = name
        self.repeatability = repeatability
        self.priority = priority
        self.defaultBudgetMilliseconds = defaultBudgetMilliseconds
        self.callers = callers
        self.route = route
        callerBits = callers.reduce(0) { $0 | 1 << $1.place }
    }

    /// Whether this peer may call it.
    package func isOpen(to caller: ServiceName) -> Bool { callerBits & 1 << caller.place != 0 }

    package static func == (left: Method, right: Method) -> Bool { left.id == right.id }
    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

/// Every method of the bus, once.
package enum MethodRegistry {
    /// GET, HEAD and OPTIONS on their way to the service that owns the prefix (D12).
    package static let httpRead = Method(
        id: 1, name: "http.read", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 10_000, callers: [.edge], route: .any)
    /// Every other HTTP method; keyed when the client sent `Idempotency-Key` (D12, D27).
    package static let httpWrite = Method(
        id: 2, name: "http.write", repeatability: .keyed, priority: .interactive,
        defaultBudgetMilliseconds: 10_000, callers: [.edge], route: .any)
    /// Readiness of one service, for `/health` and `martlet status`.
    package static let systemStatus = Method(
        id: 3, name: "system.status", repeatability: .idempotent, priority: .control,
        defaultBudgetMilliseconds: 1_000, callers: Set(ServiceName.allCases), route: .any)
    /// The public keys that verify access tokens (JWK set), for everyone's `AccessTokens`.
    package static let authKeys = Method(
        id: 4, name: "auth.keys", repeatability: .idempotent, priority: .control,
        defaultBudgetMilliseconds: 2_000, callers: [.edge, .data, .logic, .notification, .operator], route: .any)
    /// Creates or changes a row of `auth.users` in the data database (D25, data-semantics 12).
    package static let usersPut = Method(
        id: 5, name: "data.users.put", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.auth], route: .any)
    /// Deletes a row of `auth.users`, leaving a tombstone (D25).
    package static let usersDelete = Method(
        id: 6, name: "data.users.delete", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.auth], route: .any)
    /// Entries of a stream of data's change log after a cursor.
    package static let logPull = Method(
        id: 7, name: "data.log.pull", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.logic, .notification, .operator], route: .any)
    /// Which claim sets may see which changes of the log (D33).
    package static let visible = Method(
        id: 8, name: "data.visible", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.notification], route: .any)
    /// The published tables, and the log's head at the time of the answer.
    package static let feedDescribe = Method(
        id: 9, name: "data.feed.describe", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.notification], route: .any)
    /// What the sockets of one edge sent, in order.
    package static let realtimeSend = Method(
        id: 10, name: "realtime.send", repeatability: .none, priority: .interactive,
        defaultBudgetMilliseconds: 10_000, callers: [.edge], route: .any)
    /// Waits for what the sockets of one edge are to be sent.
    package static let realtimeReceive = Method(
        id: 11, name: "realtime.receive", repeatability: .none, priority: .interactive,
        defaultBudgetMilliseconds: 20_000, callers: [.edge], route: .any)

    /// Guarded statements in one transaction, for functions and their jobs.
    package static let dataBatch = Method(
        id: 12, name: "data.batch", repeatability: .keyed, priority: .interactive,
        defaultBudgetMilliseconds: 10_000, callers: [.logic, .operator], route: .any)
    /// Asks a function of the project about a write before it happens (D28). It has no effect of its own.
    package static let logicDecide = Method(
        id: 13, name: "logic.decide", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 2_000, callers: [.data], route: .any)
    /// Takes a mail to deliver (D38).
    package static let mailSend = Method(
        id: 14, name: "mail.send", repeatability: .keyed, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.auth, .logic], route: .any)

    /// Users that SQL made, changed or deleted in `auth.users` (D25); takes the acknowledgement of earlier ones.
    package static let usersChanges = Method(
        id: 15, name: "data.users.changes", repeatability: .idempotent, priority: .interactive,
        defaultBudgetMilliseconds: 5_000, callers: [.auth], route: .any)

    package static let all: [Method] = [
        httpRead, httpWrite, systemStatus, authKeys, usersPut, usersDelete, logPull, visible, feedDescribe,
        realtimeSend, realtimeReceive, dataBatch, logicDecide, mailSend, usersChanges,
    ]

    /// The method with this number, or nil.
    package static func method(id: UInt32) -> Method? { byID[id] }

    private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
}

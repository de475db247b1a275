// SPDX-License-Identifier: Apache-2.0

/// Which tables a subscription is about; `*` for all.
struct TableKey: Hashable, Sendable {
    let schema: String
    let table: String
}

/// One entry of a member's `postgres_changes` that the feed serves.
struct Subscription: Sendable {
    let member: Int
    let id: UInt64
    let event: String
    let table: TableKey
    let filter: Filter
    /// Changes up to this one were committed before the subscription.
    let floor: UInt64

    func isInterested(in change: RowChange) -> Bool {
        change.sequence > floor && (event == "*" || event == change.event)
            && filter.matches(change.filtered, types: change.types)
    }
}

/// For whom a change is judged.
///
/// It is looked up for each change and member, and claims are some hundred bytes: their hash is made once.
struct ClaimKey: Hashable, Sendable {
    let role: String
    let claims: String
    private let digest: Int

    init(role: String, claims: String) {
        self.role = role
        self.claims = claims
        var hasher = Hasher()
        hasher.combine(role)
        hasher.combine(claims)
        digest = hasher.finalize()
    }

    func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

/// A member that a change may be sent to.
struct FeedMatch: Sendable {
    let member: Int
    let claims: ClaimKey
    /// Entries of its that the change is for.
    let subscriptions: [Subscription]
}

/// What waits to be connected to the feed.
struct FeedAttachment: Sendable {
    let member: Int
    let changes: [JoinConfig.Change]
    /// Of one that was connected before and is looked at again; nil for a new one, which begins at the log's end.
    var floor: UInt64?
}

/// What the feed knows of a member's tables.
enum FeedAnswer: Sendable {
    case subscribed([Subscription])
    case failed(String)
}

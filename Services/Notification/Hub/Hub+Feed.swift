// SPDX-License-Identifier: Apache-2.0

/// Everybody who subscribed to changes of rows.
struct FeedRegistry {
    var members: [Int: Member] = [:]
    private var subscriptions: [TableKey: [Subscription]] = [:]
    /// In the order in which they came.
    var attachments: [FeedAttachment] = []

    var isEmpty: Bool { subscriptions.isEmpty }

    /// Every subscription, for a new look at the tables.
    var all: [Subscription] { subscriptions.values.flatMap(\.self) }

    mutating func insert(_ added: [Subscription]) {
        for subscription in added { subscriptions[subscription.table, default: []].append(subscription) }
    }

    mutating func remove(member id: Int) {
        guard members.removeValue(forKey: id) != nil else { return }
        attachments.removeAll { $0.member == id }
        for (key, list) in subscriptions where list.contains(where: { $0.member == id }) {
            let rest = list.filter { $0.member != id }
            subscriptions[key] = rest.isEmpty ? nil : rest
        }
    }

    /// Who wants to hear of the change, before anybody has judged what they may see.
    func interested(in change: RowChange) -> [Int: [Subscription]] {
        var found: [Int: [Subscription]] = [:]
        let keys = [
            TableKey(schema: change.schema, table: change.table), TableKey(schema: change.schema, table: "*"),
            TableKey(schema: "*", table: change.table), TableKey(schema: "*", table: "*"),
        ]
        for key in keys {
            for subscription in subscriptions[key] ?? [] where subscription.isInterested(in: change) {
                found[subscription.member, default: []].append(subscription)
            }
        }
        return found
    }
}

extension Hub {
    /// Puts a member's `postgres_changes` before the feed, which says when it is connected.
    func attach(_ member: Member) {
        guard !member.config.changes.isEmpty else { return }
        feed.members[member.id] = member
        feed.attachments.append(FeedAttachment(member: member.id, changes: member.config.changes))
        wakeFeed()
    }

    /// A membership ends.
    func detach(_ member: Member) { feed.remove(member: member.id) }

    // MARK: What the feed asks and says

    var hasSubscriptions: Bool { !feed.isEmpty }

    func takeAttachments() -> [FeedAttachment] {
        defer { feed.attachments = [] }
        return feed.attachments
    }

    /// They could not be asked about now.
    func putBack(_ attachments: [FeedAttachment]) {
        // Who has left meanwhile has no more to be told.
        feed.attachments = attachments.filter { feed.members[$0.member] != nil } + feed.attachments
    }

    /// A member's entries are connected, or cannot be.
    func attached(_ attachment: FeedAttachment, _ answer: FeedAnswer) {
        let id = attachment.member
        guard let member = feed.members[id] else { return }
        let topic = member.channel.key.name
        switch answer {
        case .subscribed(let subscriptions):
            feed.insert(subscriptions)
            guard attachment.floor == nil else { return }
            push(
                "system",
                Payloads.system(
                    extension: "postgres_changes", isOK: true, "Subscribed to PostgreSQL", topic: topic), to: member)
        case .failed(let message):
            feed.remove(member: id)
            push(
                "system",
                Payloads.system(extension: "postgres_changes", isOK: false, message, topic: topic), to: member)
        }
        flush()
    }

    /// The tables are others now: every subscription is looked at again.
    func reattachAll() {
        let floors = Dictionary(feed.all.map { ($0.member, $0.floor) }, uniquingKeysWith: max)
        for (id, floor) in floors.sorted(by: { $0.key < $1.key }) {
            guard let member = feed.members[id] else { continue }
            feed.remove(member: id)
            feed.members[id] = member
            feed.attachments.append(FeedAttachment(member: id, changes: member.config.changes, floor: floor))
        }
    }

    /// Who wants to hear of a change, and for whom it has to be judged.
    func matches(_ change: RowChange) -> [FeedMatch] {
        feed.interested(in: change).sorted { $0.key < $1.key }.compactMap { id, subscriptions in
            guard let claims = feed.members[id]?.claims else { return nil }
            return FeedMatch(member: id, claims: claims, subscriptions: subscriptions)
        }
    }

    /// Whether an edge that is alive has not taken yet what the feed sent before.
    var isBacklogged: Bool {
        let now = clock.now()
        return sessions.values.contains {
            $0.queuedBytes > limits.feedBacklogBytesMax && now - $0.lastAsked <= HubLimits.feedPatience
        }
    }

    /// Sends a change to whom it may be sent: one message for each shape, channel and list of entries.
    func deliver(_ change: RowChange, _ permitted: [(match: FeedMatch, shape: ChangeShape)]) {
        struct Key: Hashable {
            let shape: ChangeShape
            let channel: ChannelKey
            let ids: [UInt64]
        }
        var groups: [Key: [Member]] = [:]
        let types = change.types
        let now = clock.unixSeconds()
        // What each shape shows; members are many, shapes are few.
        var shownOf: [ChangeShape: [JSONSlices.Member]] = [:]
        for (match, shape) in permitted {
            guard let member = feed.members[match.member] else { continue }
            #if !MUTANT_FEED_EXPIRY_IGNORED
                // The timer that ends the membership may be a second late; the row must not be.
                if let expiresAt = member.grant.expiresAt, expiresAt <= now { continue }
            #endif
            // What a filter says about a column that is not shown would tell its value.
            let shown = shownOf[shape] ?? ChangeMessage(change: change, shape: shape).filtered
            shownOf[shape] = shown
            let ids = match.subscriptions.filter { $0.filter.matches(shown, types: types) }.map(\.id)
            guard !ids.isEmpty else { continue }
            var distinct: [UInt64] = []
            for id in ids where !distinct.contains(id) { distinct.append(id) }
            groups[Key(shape: shape, channel: member.channel.key, ids: distinct), default: []].append(member)
        }
        for (key, members) in groups {
            let payload = ChangeMessage(change: change, shape: key.shape).payload(ids: key.ids)
            fanOut(to: members) { serializer in
                .text(
                    EnvelopeWriter.push(
                        serializer, topic: key.channel.topic, event: "postgres_changes", payload: payload))
            }
        }
        flush()
    }

    /// Changes are missing: everybody who hears of changes has to reload, which SDKs do after an error.
    func feedLost() {
        for member in Array(feed.members.values) {
            let frame = EnvelopeWriter.end(
                member.socket.serializer, joinReference: member.joinReference, topic: member.channel.key.topic,
                event: "phx_error")
            append(Outgoing(sockets: [member.socket.id], content: .text(frame)), to: member.socket.session)
            remove(member)
        }
        flush()
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Which channel: a public and a private one of the same name have nothing in common (RT-31).
struct ChannelKey: Hashable, Sendable {
    /// Without `realtime:`.
    let name: String
    let isPrivate: Bool

    static let prefix = "realtime:"

    var topic: String { Self.prefix + name }
}

/// The members of a topic, and who of them is present. Lives and is touched on the hub alone.
final class Channel {
    let key: ChannelKey
    private(set) var members: [Member] = []
    var presence = PresenceTable()

    init(key: ChannelKey) { self.key = key }

    func insert(_ member: Member) {
        member.place = members.count
        members.append(member)
    }

    /// In constant time: the last one takes its place.
    func remove(_ member: Member) {
        let last = members.removeLast()
        if last !== member {
            members[member.place] = last
            last.place = member.place
        }
    }
}

/// A socket in a channel.
final class Member {
    let id: Int
    /// They hold each other until the membership ends.
    let socket: Socket
    let channel: Channel
    let joinReference: Reference
    let config: JoinConfig
    var grant: Grant {
        didSet { claims = ClaimKey(role: grant.role, claims: grant.claims) }
    }
    /// Of the grant.
    private(set) var claims: ClaimKey
    var presenceKey: String
    var presenceIsEnabled: Bool
    var presenceCalls = RateWindow(seconds: HubLimits.presenceWindowSeconds)
    fileprivate(set) var place = 0

    init(id: Int, socket: Socket, channel: Channel, joinReference: Reference, config: JoinConfig, grant: Grant) {
        self.id = id
        self.socket = socket
        self.channel = channel
        self.joinReference = joinReference
        self.config = config
        self.grant = grant
        claims = ClaimKey(role: grant.role, claims: grant.claims)
        presenceKey = config.presenceKey
        presenceIsEnabled = config.presenceIsEnabled
    }
}

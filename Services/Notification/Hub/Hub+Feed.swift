// SPDX-License-Identifier: Apache-2.0

extension Hub {
    /// Connects a member's `postgres_changes` to the feed, or says that it cannot be.
    func attach(_ member: Member) {
        guard !member.config.changes.isEmpty else { return }
        push(
            "system",
            Payloads.system(
                extension: "postgres_changes", isOK: false, "The change feed is not available",
                topic: member.channel.key.name), to: member)
    }

    /// A membership ends.
    func detach(_ member: Member) {}

    /// A member acts for somebody else from now on.
    func regrant(_ member: Member) {}
}

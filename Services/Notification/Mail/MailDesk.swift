// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// Takes mails: renders them, and answers when they are durable.
struct MailDesk: Sendable {
    /// What a caller asks for.
    struct Order: Sendable, Equatable {
        var to: String
        /// Either a template and its variables …
        var template = ""
        var variables = JSONObject()
        /// … or the mail itself.
        var subject = ""
        var html = ""
        var text = ""
        /// The request that asks; no part of what makes two orders the same.
        var trace = TraceContext.none
    }

    let store: MailStore
    /// The templates as they are now.
    let templates: @Sendable () throws -> MailTemplateSet
    /// Right part of each Message-ID.
    let domain: String
    /// Microseconds since 1970 UTC.
    let clock: @Sendable () -> Int64

    /// - Parameter senderKey: names the caller and the request; a repeat has the same one.
    func accept(
        _ order: Order, senderKey: String, deadline: ContinuousClock.Instant? = nil
    ) async throws(MailRefusal) -> MailStore.Accepted {
        guard let recipient = MailAddress(order.to) else { throw .badRecipient }
        guard (1...MailLimits.keyBytesMax).contains(senderKey.utf8.count) else {
            throw .badMail("the idempotency key has more than \(MailLimits.keyBytesMax) bytes")
        }
        let content = try content(of: order)
        let id = UUID().uuidString.lowercased()
        let request = MailStore.Request(
            id: id, senderKey: senderKey, template: order.template, recipient: recipient,
            messageID: "\(id)@\(domain)", content: content, hash: Self.hash(of: order),
            trace: order.trace)
        do {
            return try await store.accept(request, now: clock(), deadline: deadline)
        } catch let refusal as MailRefusal {
            throw refusal
        } catch { throw .storage("\(error)") }
    }

    private func content(of order: Order) throws(MailRefusal) -> MailContent {
        if order.template.isEmpty {
            guard order.variables.isEmpty else { throw .badMail("variables belong to a template") }
            return try MailContent(
                subject: order.subject, html: order.html.isEmpty ? nil : order.html,
                text: order.text.isEmpty ? nil : order.text)
        }
        guard order.subject.isEmpty, order.html.isEmpty, order.text.isEmpty else {
            throw .badMail("a template brings its subject and bodies")
        }
        let templates: MailTemplateSet
        do { templates = try self.templates() } catch { throw .storage("the templates cannot be read: \(error)") }
        return try templates.render(order.template, order.variables)
    }

    /// FNV-1a over what makes two orders the same: it tells a key that was used twice from a repeat, and is not meant
    /// against malice. Of a mail by template only the template and the recipient count: its variables may be secret,
    /// and a short code could be found from its hash.
    private static func hash(of order: Order) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for part in [order.to, order.template, order.subject, order.html, order.text] {
            for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            // No byte of UTF-8, so that parts do not run into each other.
            hash = (hash ^ 0xFF) &* 0x100_0000_01B3
        }
        return String(hash, radix: 16)
    }
}

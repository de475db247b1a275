// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import MartletJSON
internal import MartletWire

/// `/notification/v1`: mails for functions and back ends, by `service_role` alone; in development also what was caught.
struct MailRoute: Sendable {
    struct Answer: Sendable, Equatable {
        var status: UInt16
        var contentType = "application/json"
        var body: String
        var fields: [HTTPField] = []

        static func error(_ status: UInt16, _ code: String, _ message: String) -> Answer {
            let body: JSONObject = ["code": .string(code), "message": .string(message)]
            return Answer(status: status, body: body.text)
        }
    }

    typealias Accept =
        @Sendable (
            MailDesk.Order, _ key: String, ContinuousClock.Instant
        ) async throws(MailRefusal) -> MailStore.Accepted

    let accept: Accept
    let catcher: MailCatcher?
    /// Nil where no mails can be sent.
    var operations: Operations?

    /// Nil when the path is none of ours.
    func answer(
        _ header: RequestHeader, _ head: HTTPRequestHead, body: [UInt8], deadline: ContinuousClock.Instant
    ) async -> Answer? {
        let parts = head.path.split(separator: "/").map(String.init)
        guard let first = parts.first,
            first == "mail" && parts.count == 1 || first == "mails" && parts.count <= 2 || first == "deliveries"
        else { return nil }
        guard header.principal.tokenStatus == .valid, header.principal.role == "service_role" else {
            return .error(403, "not_authorized", "Only service_role may do this")
        }
        if first == "deliveries" { return await deliveries(parts.dropFirst(), head) }
        if first == "mails" { return caught(parts.dropFirst().first, head) }
        guard head.method == "POST" else { return Self.notAllowed("POST") }
        return await send(header, body, deadline)
    }

    private func send(
        _ header: RequestHeader, _ body: [UInt8], _ deadline: ContinuousClock.Instant
    ) async -> Answer {
        do throws(MailRefusal) {
            // Without a key each request is a mail of its own.
            let key = header.idempotencyKey.isEmpty ? UUID().uuidString : header.idempotencyKey
            var order = try Self.order(body)
            order.trace = header.trace
            let accepted = try await accept(order, key, deadline)
            let reply: JSONObject = ["id": .string(accepted.id), "message_id": .string(accepted.messageID)]
            return Answer(status: 202, body: reply.text)
        } catch {
            return switch error {
            case .badMail(let reason): .error(400, "bad_mail", "The mail cannot be sent: \(reason)")
            case .badRecipient: .error(400, "bad_recipient", "`to` must be one mail address")
            case .unknownTemplate(let name): .error(400, "unknown_template", "There is no template \(name)")
            case .keyReused:
                .error(422, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
            case .notConfigured: .error(503, "mail_not_configured", "No SMTP server is configured")
            case .full: Self.later(.error(503, "too_many_mails", "Too many mails wait for their delivery"))
            case .storage:
                Self.later(
                    .error(
                        503, "service_unavailable", "The service is not available, please retry after a moment."))
            }
        }
    }

    static func later(_ answer: Answer) -> Answer {
        var answer = answer
        answer.fields.append(HTTPField("retry-after", "1"))
        return answer
    }

    /// - Throws: `badMail` for anything but an object of the known members.
    static func order(_ body: [UInt8]) throws(MailRefusal) -> MailDesk.Order {
        guard let members = (try? JSONValue(parsing: body))?.objectValue else {
            throw .badMail("the body is no JSON object")
        }
        var order = MailDesk.Order(to: "")
        for (name, value) in members.members where !value.isNull {
            if name == "variables" {
                guard let variables = value.objectValue else { throw .badMail("variables must be an object") }
                order.variables = variables
                continue
            }
            guard let text = value.stringValue else { throw .badMail("\(name) must be a string") }
            switch name {
            case "to": order.to = text
            case "template": order.template = text
            case "subject": order.subject = text
            case "html": order.html = text
            case "text": order.text = text
            default: throw .badMail("\(name) is not known")
            }
        }
        return order
    }

    // MARK: Caught mails

    private func caught(_ id: String?, _ head: HTTPRequestHead) -> Answer {
        guard head.method == "GET" || head.method == "HEAD" else { return Self.notAllowed("GET, HEAD") }
        guard let catcher else { return .error(404, "not_found", "Mails are not caught here") }
        let page = MailPage(query: head.query)
        guard let id else { return Self.html(page.list(catcher.list())) }
        guard let mail = catcher.mail(id) else { return .error(404, "not_found", "There is no such mail") }
        return Self.html(page.mail(mail))
    }

    /// What a mail says comes from outside: no script of it runs, and its address stays here.
    private static func html(_ body: String) -> Answer {
        Answer(
            status: 200, contentType: "text/html; charset=utf-8", body: body,
            fields: [
                HTTPField("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
                HTTPField("referrer-policy", "no-referrer"), HTTPField("cache-control", "no-store"),
                HTTPField("x-content-type-options", "nosniff"),
            ])
    }
}

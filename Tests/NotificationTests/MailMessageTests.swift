// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletJSON
import MartletSMTP
import MartletWire
import Testing

@testable import MartletNotification

@Suite("Notification: mail messages")
struct MailMessageTests {
    private static func message(subject: String = "Hello", html: String? = nil, text: String? = "x") throws
        -> MailMessage
    {
        MailMessage(
            id: "8c7e2b1a-0000-4000-8000-000000000001", messageID: "8c7e2b1a@example.com",
            from: MailMessage.Sender(address: try #require(MailAddress("shop@example.com")), name: "The Shöp"),
            to: try #require(MailAddress("ada@example.org")),
            content: try MailContent(subject: subject, html: html, text: text), date: 1_796_000_000)
    }

    @Test("One body is one part, two are alternatives with the plain one first")
    func parts() throws {
        let one = String(decoding: try Self.message(text: "Hällo\nWorld").bytes, as: UTF8.self)
        #expect(one.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"))
        #expect(one.hasSuffix("\r\n\r\nH=C3=A4llo\r\nWorld\r\n"))
        #expect(one.contains("\r\nFrom: =?utf-8?B?VGhlIFNow7Zw?= <shop@example.com>\r\n"))
        #expect(one.hasPrefix("Date: \(MailDate.text(1_796_000_000))\r\n"))
        let two = String(decoding: try Self.message(html: "<p>H</p>", text: "T").bytes, as: UTF8.self)
        let plain = try #require(two.range(of: "text/plain"))
        let html = try #require(two.range(of: "text/html"))
        #expect(plain.lowerBound < html.lowerBound)
        #expect(two.contains("multipart/alternative"))
    }

    @Test("No line is longer than a server takes, and every line ends with CRLF")
    func lines() throws {
        let long = String(repeating: "ä=\t ", count: 2_000)
        let bytes = try Self.message(subject: String(repeating: "Überschrift ", count: 60), html: long, text: long)
            .bytes
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        #expect(lines.dropLast().allSatisfy { $0.last == 0x0D && $0.count <= 79 })
        #expect(bytes.allSatisfy { $0 < 0x80 })
    }

    @Test(
        "Dates are those of the calendar",
        arguments: [
            (Int64(0), "Thu, 01 Jan 1970 00:00:00 +0000"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000"), (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 +0000"),
        ])
    func dates(seconds: Int64, text: String) { #expect(MailDate.text(seconds) == text) }

    @Test("One address is taken", arguments: ["a@b.example", "a.b+c@x-y.example", "jörg@example.org", "a@localhost"])
    func addresses(text: String) { #expect(MailAddress(text)?.text == text) }

    @Test(
        "A list, a name, a header or half an address is none",
        arguments: [
            "", "a", "@b", "a@", "a@b@c", "a@b,c@d", "Ada <a@b>", "a b@c", "a@b\r\nRCPT TO:<x@y>", "a@b\0", "a@-b",
            "a@b..c",
            "\"a\"@b", "a@[127.0.0.1]", String(repeating: "a", count: 65) + "@b",
            "a@" + String(repeating: "b", count: 64),
            "a@exämple.org",
        ])
    func noAddresses(text: String) { #expect(MailAddress(text) == nil) }

    // MARK: HTTP

    private static func route(
        catcher: MailCatcher? = nil, refusal: MailRefusal? = nil
    ) -> MailRoute {
        MailRoute(
            accept: { order, key, _ async throws(MailRefusal) in
                if let refusal { throw refusal }
                return MailStore.Accepted(id: "id of \(order.to)", messageID: key, isRepeat: false)
            }, catcher: catcher)
    }

    private static func post(_ route: MailRoute, _ body: String, role: String = "service_role") async -> MailRoute
        .Answer?
    {
        let header = RequestHeader(principal: Principal(tokenStatus: .valid, role: role), idempotencyKey: "k")
        return await route.answer(
            header, HTTPRequestHead(method: "POST", path: "/mail"), body: Array(body.utf8), deadline: .now + .seconds(5)
        )
    }

    @Test("A mail over HTTP is for service_role alone")
    func roles() async throws {
        let body = #"{"to":"a@b.example","subject":"s","text":"t"}"#
        let accepted = try #require(await Self.post(Self.route(), body))
        #expect(accepted.status == 202)
        #expect(accepted.body == #"{"id":"id of a@b.example","message_id":"k"}"#)
        #expect(await Self.post(Self.route(), body, role: "anon")?.status == 403)
        #expect(await Self.post(Self.route(), body, role: "authenticated")?.status == 403)
    }

    @Test(
        "Deliveries are for service_role; what is not known is refused",
        arguments: [
            ("GET", "/deliveries", "", 200), ("GET", "/deliveries", "state=dead&limit=5", 200),
            ("GET", "/deliveries", "state=lost", 400), ("GET", "/deliveries", "limit=0", 400),
            ("GET", "/deliveries", "limit=9999999999999999999999", 400), ("GET", "/deliveries", "order=id", 400),
            ("POST", "/deliveries", "", 405), ("POST", "/deliveries/known/retry", "", 200),
            ("POST", "/deliveries/sent/retry", "", 409), ("POST", "/deliveries/none/retry", "", 404),
            ("GET", "/deliveries/known/retry", "", 405), ("POST", "/deliveries/known", "", 404),
            ("POST", "/deliveries/known/retry/more", "", 404),
        ])
    func deliveries(method: String, path: String, query: String, status: UInt16) async throws {
        let known = MailStore.Delivery(
            id: "known", state: "queued", recipient: "a@b.example", template: "", messageID: "m", attempts: 0,
            lastError: nil, createdAt: 0, dueAt: 0, finishedAt: nil, trace: .none)
        var route = Self.route()
        let head = HTTPRequestHead(method: method, path: path, query: query)
        func ask(_ role: String) async -> MailRoute.Answer? {
            let header = RequestHeader(principal: Principal(tokenStatus: .valid, role: role))
            return await route.answer(header, head, body: [], deadline: .now + .seconds(5))
        }
        #expect(await ask("service_role")?.status == 503, "Nobody could deliver")
        route.operations = MailRoute.Operations(
            list: { state, limit in state == "dead" && limit == 5 ? [] : [known] },
            retry: { $0 == "known" ? .due(known) : $0 == "sent" ? .refused("The mail was sent already") : .unknown })
        #expect(await ask("service_role")?.status == status)
        #expect(await ask("authenticated")?.status == 403)
    }

    @Test(
        "A body that is no mail is refused",
        arguments: [
            "", "[]", #"{"to":1}"#, #"{"to":"a@b","cc":"x"}"#, #"{"to":"a@b","variables":[]}"#,
            #"{"to":["a@b","c@d"]}"#,
        ])
    func badBodies(body: String) async throws {
        let answer = try #require(await Self.post(Self.route(), body))
        #expect(answer.status == 400)
        #expect(answer.body.contains(#""code":"bad_mail""#))
    }

    @Test(
        "Each refusal has its status and code",
        arguments: [
            (MailRefusal.badRecipient, UInt16(400), "bad_recipient"), (.unknownTemplate("x"), 400, "unknown_template"),
            (.keyReused, 422, "idempotency_key_reused"), (.full, 503, "too_many_mails"),
            (.notConfigured, 503, "mail_not_configured"), (.storage("secret"), 503, "service_unavailable"),
        ])
    func refusals(refusal: MailRefusal, status: UInt16, code: String) async throws {
        let answer = try #require(await Self.post(Self.route(refusal: refusal), #"{"to":"a@b"}"#))
        #expect(answer.status == status)
        #expect(answer.body.contains("\"code\":\"\(code)\""))
        #expect(!answer.body.contains("secret"))
    }

    @Test("What was caught is a durable file and a page that runs nothing of it")
    func catches() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let catcher = MailCatcher(folder: folder.path)
        let message = try Self.message(subject: "<b>", text: "Go to https://x.example/?a=1&b=<script>")
        #expect(catcher.take(message) == .accepted)
        let file = try Data(contentsOf: folder.appendingPathComponent("\(message.id).eml"))
        #expect(Array(file) == message.bytes)
        let route = Self.route(catcher: catcher)
        func get(_ path: String, role: String = "service_role") async -> MailRoute.Answer? {
            await route.answer(
                RequestHeader(principal: Principal(tokenStatus: .valid, role: role)),
                HTTPRequestHead(method: "GET", path: path, query: "apikey=k"), body: [], deadline: .now + .seconds(5))
        }
        let list = try #require(await get("/mails"))
        #expect(list.status == 200)
        #expect(list.body.contains("&lt;b&gt;") && !list.body.contains("<b>"))
        #expect(list.body.contains("mails/\(message.id)?apikey=k"))
        let page = try #require(await get("/mails/\(message.id)"))
        #expect(page.body.contains("href=\"https://x.example/?a=1&amp;b=&lt;script&gt;\""))
        #expect(
            page.fields.contains { $0.name == "content-security-policy" && $0.value.hasPrefix("default-src 'none'") })
        #expect(await get("/mails/..%2f..%2fkeys")?.status == 404)
        #expect(await get("/mails", role: "anon")?.status == 403)
        #expect(
            await Self.route().answer(
                RequestHeader(principal: Principal(tokenStatus: .valid, role: "service_role")),
                HTTPRequestHead(method: "GET", path: "/mails"), body: [], deadline: .now)?.status == 404)
    }
}

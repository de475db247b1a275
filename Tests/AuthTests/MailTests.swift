// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Synchronization
import Testing

extension TestAuth {
    /// Takes the only mail out of the outbox.
    func mail() async throws -> OutgoingMail {
        let mails = try await authority.waitingMails()
        #expect(mails.count == 1)
        let mail = try #require(mails.first)
        try await authority.forgetMail(mail.id)
        return mail
    }

    func verify(_ type: String, _ email: String, code: String) async throws -> Answer {
        try await send("POST", "/verify", ["type": .string(type), "email": .string(email), "token": .string(code)])
    }

    func verify(_ type: String, hash: String) async throws -> Answer {
        try await send("POST", "/verify", ["type": .string(type), "token_hash": .string(hash)])
    }

    func ask(_ path: String, _ body: JSONValue = ["email": "ada@example.com"]) async throws -> Answer {
        try await send("POST", path, body)
    }
}

extension OutgoingMail {
    var code: String { variables["Token"]?.stringValue ?? "" }
    var hash: String { variables["TokenHash"]?.stringValue ?? "" }
    /// Path and query of the link, as the auth API sees them.
    var link: String {
        String((variables["ConfirmationURL"]?.stringValue ?? "").dropFirst(TestAuth.issuer.count))
    }
}

/// Codes and links by e-mail and their limits: AU-162, AU-170, AU-171, AU-183 to AU-188, AU-282, AU-501.
@Suite struct MailTests {
    private static func with<Result>(
        _ engine: DatabaseEngine, confirms: Bool = true, perHour: Int = 30,
        _ body: (TestAuth) async throws -> Result
    ) async throws -> Result {
        try await TestAuth.with(engine) { configuration in
            configuration.mail = MailPolicy(needsConfirmation: confirms, perHour: perHour)
            configuration.redirects = RedirectPolicy(siteURL: "https://app.test", allowed: ["https://other.test/**"])
        } _: { auth in
            try await body(auth)
        }
    }

    // MARK: Sign-up

    @Test(arguments: TestAuth.engines)
    func `A sign-up waits for its confirmation, by code`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            let made = try await auth.signUp(data: ["full_name": "Ada"])
            #expect(made.status == 200)
            #expect(made.body["access_token"] == nil)
            #expect(made.body["email_confirmed_at"] == nil)
            #expect(made.body["confirmation_sent_at"] == .string(auth.clock.now.rfc3339))
            #expect(made.body["identities"]?.arrayValue?.count == 1)
            #expect(try await auth.signIn().code == "email_not_confirmed")
            let mail = try await auth.mail()
            #expect(mail.kind == "confirmation" && mail.to == "ada@example.com")
            #expect(mail.code.utf8.count == 6 && mail.hash.utf8.count >= 22)
            #expect(!made.body.text.contains(mail.code) && !made.body.text.contains(mail.hash))
            let session = try await auth.verify("signup", "ada@example.com", code: mail.code)
            #expect(session.status == 200)
            #expect(session.user["email_confirmed_at"] == .string(auth.clock.now.rfc3339))
            #expect(session.user["user_metadata"]?["email_verified"] == true)
            #expect(session.user["user_metadata"]?["full_name"] == "Ada")
            #expect(session.claims["amr"]?.arrayValue?.first?["method"] == "otp")
            #expect(try await auth.signIn().status == 200)
            // One grant: the link went with the code.
            #expect(try await auth.verify("signup", hash: mail.hash).code == "otp_expired")
            #expect(try await auth.verify("signup", "ada@example.com", code: mail.code).code == "otp_expired")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `The link signs in and leads where it may lead`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.send(
                "POST", "/signup?redirect_to=https%3A%2F%2Fother.test%2Fin%3Fx%3D1",
                ["email": "ada@example.com", "password": .string(TestAuth.password)])
            let mail = try await auth.mail()
            #expect(mail.variables["RedirectTo"] == "https://other.test/in?x=1")
            let head = try await auth.send("HEAD", mail.link)
            #expect(head.status == 200 && head.header("location") == nil)
            let answer = try await auth.send("GET", mail.link)
            #expect(answer.status == 303)
            #expect(answer.header("cache-control") == "no-store")
            #expect(answer.header("referrer-policy") == "no-referrer")
            let location = try #require(answer.header("location"))
            #expect(location.hasPrefix("https://other.test/in?x=1#access_token="))
            #expect(location.contains("&token_type=bearer&type=signup&sb="))
            let again = try await auth.send("GET", mail.link)
            #expect(again.status == 303)
            #expect(
                again.header("location")
                    == "https://other.test/in?x=1#error=access_denied&error_code=otp_expired&error_description="
                    + "Email%20link%20is%20invalid%20or%20has%20expired&sb=")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A redirect that was changed in the link falls back to the site`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            let mail = try await auth.mail()
            let answer = try await auth.send(
                "GET", "/verify?type=signup&token=\(mail.hash)&redirect_to=https://evil.net/")
            #expect(answer.header("location")?.hasPrefix("https://app.test#access_token=") == true)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A second sign-up of a pending address sends again and changes nothing`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            let first = try await auth.signUp(data: ["name": "first"])
            let old = try await auth.mail()
            let tooSoon = try await auth.signUp(data: ["name": "second"])
            #expect(tooSoon.status == 429)
            #expect(tooSoon.code == "over_email_send_rate_limit")
            #expect(tooSoon.text == "For security purposes, you can only request this after 60 seconds.")
            #expect(tooSoon.header("retry-after") == "60")
            auth.clock.advance(by: .seconds(61))
            let again = try await auth.send(
                "POST", "/signup", ["email": "ada@example.com", "password": "another long password"])
            #expect(again.status == 200)
            #expect(again.userID == first.userID)
            #expect(again.user["user_metadata"]?["name"] == "first")
            let mail = try await auth.mail()
            #expect(try await auth.verify("signup", hash: old.hash).code == "otp_expired")
            #expect(try await auth.verify("signup", hash: mail.hash).status == 200)
            #expect(try await auth.signIn("ada@example.com", "another long password").status == 400)
            #expect(try await auth.signIn().status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A confirmed address is answered like a new one, but for its identities`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            let made = try await auth.signUp()
            _ = try await auth.verify("signup", hash: try await auth.mail().hash)
            auth.clock.advance(by: .seconds(61))
            let disguised = try await auth.signUp(data: ["name": "x"])
            #expect(disguised.status == 200)
            #expect(disguised.body["identities"] == [])
            #expect(disguised.userID != made.userID)
            #expect(disguised.body["role"] == "")
            #expect(disguised.body["user_metadata"] == ["name": "x"])
            #expect(disguised.body["confirmation_sent_at"] == .string(auth.clock.now.rfc3339))
            #expect(try await auth.authority.waitingMails().isEmpty)
            // The gap is the same too.
            #expect(try await auth.signUp().status == 429)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Of many who use one link at once one gets a session`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            let mail = try await auth.mail()
            let answers = try await withThrowingTaskGroup(of: UInt16.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        number.isMultiple(of: 2)
                            ? try await auth.verify("signup", hash: mail.hash).status
                            : try await auth.verify("email", "ada@example.com", code: mail.code).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.filter { $0 == 200 }.count == 1)
            #expect(answers.filter { $0 == 403 }.count == 9)
            #expect(try await auth.count("sessions") == 1)
        }
    }

    // MARK: Codes

    /// AU-506.
    @Test(arguments: TestAuth.engines)
    func `A code is void after ten wrong guesses, and its link with it`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            let mail = try await auth.mail()
            let wrong = mail.code == "000000" ? "000001" : "000000"
            for _ in 0..<10 {
                #expect(try await auth.verify("signup", "ada@example.com", code: wrong).code == "otp_expired")
            }
            #expect(try await auth.verify("signup", "ada@example.com", code: mail.code).code == "otp_expired")
            #expect(try await auth.verify("signup", hash: mail.hash).code == "otp_expired")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A code lives ten minutes, its link an hour`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            let mail = try await auth.mail()
            auth.clock.advance(by: .seconds(601))
            #expect(try await auth.verify("signup", "ada@example.com", code: mail.code).code == "otp_expired")
            auth.clock.advance(by: .seconds(2_900))
            #expect(try await auth.verify("signup", hash: mail.hash).status == 200)
            _ = try await auth.ask("/recover")
            let late = try await auth.mail()
            auth.clock.advance(by: .seconds(3_601))
            #expect(try await auth.verify("recovery", hash: late.hash).code == "otp_expired")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Types are not interchangeable, and bad requests are told apart`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            let mail = try await auth.mail()
            for type in ["recovery", "magiclink", "email_change", "sms", "phone_change"] {
                #expect(try await auth.verify(type, hash: mail.hash).code == "otp_expired")
                #expect(try await auth.verify(type, "ada@example.com", code: mail.code).code == "otp_expired")
            }
            let bodies: [(JSONValue, UInt16)] = [
                (["email": "ada@example.com", "token": "1"], 400),
                (["type": "signup", "email": "ada@example.com"], 400),
                (["type": "signup", "token": "1", "token_hash": "2"], 400),
                (["type": "signup", "token_hash": "2", "email": "ada@example.com"], 400),
                (["type": "signup", "token_hash": "2", "redirect_to": "x"], 400),
                (["type": "nothing", "token_hash": "2"], 400), (["type": "signup", "token": "1"], 400),
                (["type": "signup", "token": "1", "email": "nonsense"], 422),
                (["type": "signup", "token": "123456", "email": "bob@example.com"], 403),
            ]
            for (body, status) in bodies {
                #expect(try await auth.ask("/verify", body).status == status, "\(body.text)")
            }
            #expect(try await auth.send("GET", "/verify?type=signup").status == 400)
            #expect(try await auth.send("GET", "/verify?token=x").status == 400)
            #expect(try await auth.verify("email", "ada@example.com", code: mail.code).status == 200)
        }
    }

    // MARK: Recovery, magic links

    @Test(arguments: TestAuth.engines)
    func `Recovery signs in for a new password; the old mails are void then`(engine: DatabaseEngine) async throws {
        try await Self.with(engine, confirms: false) { auth in
            _ = try await auth.signUp()
            #expect(try await auth.ask("/recover").body == [:])
            let mail = try await auth.mail()
            #expect(mail.kind == "recovery")
            #expect(try await auth.signIn().status == 200, "asking changes nothing")
            let session = try await auth.verify("recovery", "ada@example.com", code: mail.code)
            #expect(session.status == 200)
            auth.clock.advance(by: .seconds(61))
            _ = try await auth.ask("/recover")
            let other = try await auth.mail()
            let changed = try await auth.send(
                "PUT", "/user", ["password": "a very new password"], bearer: session.accessToken)
            #expect(changed.status == 200)
            #expect(changed.body["recovery_sent_at"] == .string(auth.clock.now.rfc3339))
            #expect(try await auth.verify("recovery", hash: other.hash).code == "otp_expired")
            #expect(try await auth.signIn("ada@example.com", "a very new password").status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Whoever has no account is answered like whoever has one`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp("ada@example.com")
            _ = try await auth.verify("signup", hash: try await auth.mail().hash)
            auth.clock.advance(by: .seconds(61))
            for (path, extra) in [("/recover", JSONObject()), ("/resend", ["type": "signup"])] {
                var answers: [[UInt16]] = []
                for address in ["ada@example.com", "nobody@example.com"] {
                    var body = extra
                    body["email"] = .string(address)
                    let first = try await auth.ask(path, .object(body))
                    let second = try await auth.ask(path, .object(body))
                    answers.append([first.status, second.status])
                    if first.status == 200 { #expect(first.body == [:]) }
                }
                #expect(answers == [[200, 429], [200, 429]], "\(path)")
            }
            let mails = try await auth.authority.waitingMails()
            #expect(mails.map(\.kind) == ["recovery"])
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A magic link signs in who is known, and signs up who is not`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            #expect(
                try await auth.ask("/otp", ["email": "eve@example.com", "create_user": false]).code == "otp_disabled")
            #expect(try await auth.ask("/otp", ["email": "ada@example.com", "data": ["n": 1]]).body == [:])
            let first = try await auth.mail()
            #expect(first.kind == "confirmation")
            let made = try await auth.verify("email", "ada@example.com", code: first.code)
            #expect(made.status == 200)
            #expect(made.user["user_metadata"]?["n"] == 1)
            auth.clock.advance(by: .seconds(61))
            #expect(try await auth.ask("/otp").status == 200)
            let second = try await auth.mail()
            #expect(second.kind == "magic_link")
            let again = try await auth.verify("magiclink", hash: second.hash)
            #expect(again.userID == made.userID)
            #expect(try await auth.signIn().code == "invalid_credentials", "there is no password")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Where addresses count as confirmed an otp signs up at once and sends the login link`(
        engine: DatabaseEngine
    ) async throws {
        try await Self.with(engine, confirms: false) { auth in
            #expect(try await auth.ask("/magiclink").status == 200)
            let mail = try await auth.mail()
            #expect(mail.kind == "magic_link")
            #expect(try await auth.verify("email", "ada@example.com", code: mail.code).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Nobody who is banned comes in by a link`(engine: DatabaseEngine) async throws {
        try await Self.with(engine, confirms: false) { auth in
            let made = try await auth.signUp()
            let ban = try await auth.send(
                "PUT", "/admin/users/\(made.userID)", ["ban_duration": "24h"], bearer: "service_role")
            #expect(ban.status == 200)
            _ = try await auth.ask("/recover")
            #expect(try await auth.verify("recovery", hash: try await auth.mail().hash).code == "user_banned")
        }
    }

    /// AU-516.
    @Test(arguments: TestAuth.engines)
    func `A mailbox gets ten mails an hour, with all its labels together`(engine: DatabaseEngine) async throws {
        try await Self.with(engine, confirms: false, perHour: 1_000) { auth in
            for number in 0..<10 {
                #expect(try await auth.ask("/otp", ["email": .string("ada+\(number)@example.com")]).status == 200)
            }
            let refused = try await auth.ask("/otp", ["email": "ada@example.com"])
            #expect(refused.status == 429 && refused.text == "email rate limit exceeded")
            #expect(try await auth.ask("/otp", ["email": "bob@example.com"]).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `The installation sends so many mails an hour`(engine: DatabaseEngine) async throws {
        try await Self.with(engine, perHour: 2) { auth in
            for address in ["a@example.com", "b@example.com"] {
                let made = try await auth.signUp(address)
                #expect(made.status == 200)
            }
            #expect(try await auth.signUp("c@example.com").status == 429)
            #expect(try await auth.count("users") == 2, "nobody is signed up whom no mail can reach")
            auth.clock.advance(by: .seconds(3_601))
            #expect(try await auth.signUp("c@example.com").status == 200)
        }
    }

    // MARK: PKCE

    @Test(arguments: TestAuth.engines)
    func `A PKCE link gives a code that only the verifier turns into a session, once`(
        engine: DatabaseEngine
    ) async throws {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        try await Self.with(engine) { auth in
            _ = try await auth.send(
                "POST", "/signup",
                [
                    "email": "ada@example.com", "password": .string(TestAuth.password),
                    "code_challenge": .string(challenge), "code_challenge_method": "s256",
                ])
            let mail = try await auth.mail()
            #expect(mail.hash.hasPrefix("pkce_"))
            let followed = try await auth.send("GET", mail.link)
            let location = try #require(followed.header("location"))
            let prefix = "https://app.test?code="
            #expect(location.hasPrefix(prefix) && !location.contains("#"))
            let code = String(location.dropFirst(prefix.count))
            #expect(try await auth.count("sessions") == 0)
            func exchange(_ verifier: String) async throws -> Answer {
                try await auth.send(
                    "POST", "/token?grant_type=pkce",
                    ["auth_code": .string(code), "code_verifier": .string(verifier)])
            }
            #expect(try await exchange(challenge).code == "bad_code_verifier")
            let session = try await exchange(verifier)
            #expect(session.status == 200)
            #expect(session.user["email_confirmed_at"] != nil)
            #expect(try await exchange(verifier).code == "flow_state_not_found")
            let again = try await auth.send("GET", mail.link)
            #expect(again.header("location")?.contains("?error=access_denied&error_code=otp_expired") == true)
        }
    }

    /// AU-506.
    @Test(arguments: TestAuth.engines)
    func `A PKCE code dies of age and of wrong verifiers`(engine: DatabaseEngine) async throws {
        let verifier = String(repeating: "v", count: 43)
        try await Self.with(engine, confirms: false) { auth in
            _ = try await auth.signUp()
            for isOld in [true, false] {
                auth.clock.advance(by: .seconds(61))
                _ = try await auth.ask(
                    "/recover",
                    [
                        "email": "ada@example.com", "code_challenge": .string(verifier),
                        "code_challenge_method": "plain",
                    ])
                let followed = try await auth.send("GET", try await auth.mail().link)
                let code = String(try #require(followed.header("location")).dropFirst("https://app.test?code=".count))
                func exchange(_ verifier: String) async throws -> String? {
                    try await auth.send(
                        "POST", "/token?grant_type=pkce",
                        ["auth_code": .string(code), "code_verifier": .string(verifier)]
                    ).code
                }
                if isOld {
                    auth.clock.advance(by: .seconds(301))
                    #expect(try await exchange(verifier) == "flow_state_expired")
                } else {
                    for _ in 0..<5 { #expect(try await exchange("wrong") == "bad_code_verifier") }
                    #expect(try await exchange(verifier) == "flow_state_not_found")
                }
            }
        }
    }

    @Test(
        arguments: [
            ["code_challenge": "x"], ["code_challenge_method": "s256"],
            ["code_challenge": "short", "code_challenge_method": "s256"],
            ["code_challenge": .string(String(repeating: "a", count: 43)), "code_challenge_method": "md5"],
        ] as [JSONObject])
    func `A challenge that is none is refused`(extra: JSONObject) async throws {
        try await Self.with(.sqlite) { auth in
            var body = extra
            body["email"] = "ada@example.com"
            for path in ["/otp", "/recover"] {
                let refused = try await auth.ask(path, .object(body))
                #expect(refused.code == "validation_failed")
            }
        }
    }

    // MARK: Outbox

    /// AU-604, and AU-531 for mails on their way.
    @Test(arguments: TestAuth.engines)
    func `Mails wait sealed until the notification service has them, and keep their id`(
        engine: DatabaseEngine
    ) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            let waiting = try #require(try await auth.authority.waitingMails().first)
            let stored = try await auth.database.read { try $0.query("select variables from mail_outbox").first?[0] }
            #expect(stored?.textValue?.contains(waiting.code) == false)
            let hashes = try await auth.database.read { session in
                try session.query("select code_hash, link_hash from one_time_tokens").flatMap(\.values)
            }
            #expect(!hashes.contains(.text(waiting.code)) && !hashes.contains(.text(waiting.hash)))
            let carrier = TestCarrier([.failed("away"), .taken])
            #expect(await auth.authority.handOverMails(to: carrier) == false)
            #expect(await auth.authority.handOverMails(to: carrier))
            #expect(carrier.ids == [waiting.id, waiting.id])
            #expect(try await auth.authority.waitingMails().isEmpty)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A mail that is refused for ever holds up no other`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp("a@example.com")
            _ = try await auth.signUp("b@example.com")
            let carrier = TestCarrier([.refused("no"), .taken])
            #expect(await auth.authority.handOverMails(to: carrier))
            #expect(carrier.ids.count == 2)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `What has expired is forgotten`(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { auth in
            _ = try await auth.signUp()
            await auth.authority.forgetExpired()
            #expect(try await auth.count("one_time_tokens") == 1)
            auth.clock.advance(by: .seconds(86_401))
            await auth.authority.forgetExpired()
            #expect(try await auth.count("one_time_tokens") == 0)
            #expect(try await auth.count("mail_sends") == 0)
            #expect(auth.observations.all.isEmpty)
        }
    }
}

/// A notification service that answers what the test says.
final class TestCarrier: MailCarrier {
    private let answers: Mutex<[MailCarriage]>
    private let seen = Mutex<[String]>([])

    init(_ answers: [MailCarriage]) { self.answers = Mutex(answers) }

    var ids: [String] { seen.withLock { $0 } }

    func carry(_ mail: OutgoingMail, deadline: ContinuousClock.Instant) async -> MailCarriage {
        seen.withLock { $0.append(mail.id) }
        return answers.withLock { $0.isEmpty ? .taken : $0.removeFirst() }
    }
}

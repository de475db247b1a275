// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletServiceKit
import MartletWire
import NIOCore
import Testing

@testable import MartletLogic

/// `/functions/v1`: names, tokens, what a function gets to see, and the platform's own answers.
@Suite("Functions: the route")
struct RouteTests {
    /// Answers with what it was sent.
    private struct Echo: FunctionCaller {
        var failure: FunctionFailure?

        func call(
            _ name: String, _ request: FunctionRequest, deadline: ContinuousClock.Instant
        ) async throws(FunctionFailure) -> FunctionResponse {
            if let failure { throw failure }
            return FunctionResponse(
                status: 207, headers: request.headers,
                body: ByteBuffer(string: "\(name) \(request.method) \(request.target)"))
        }
    }

    private func ask(
        _ method: String = "POST", _ path: String = "/open", query: String = "", fields: [HTTPField] = [],
        principal: Principal = Principal(), failure: FunctionFailure? = nil
    ) async throws -> (status: UInt16, head: HTTPResponseHead, body: String) {
        let project = try TestProject(
            """
            [functions.open]
            verify_jwt = false
            [functions.closed]
            [martlet.functions.inner]
            command = ["serve"]
            public = false
            [functions.off]
            enabled = false
            """)
        let route = FunctionRoute(
            catalogue: FunctionCatalogue(tables: project.settings.tables, project: project.settings.project),
            calls: Echo(failure: failure))
        let reply = await route.answer(
            InboundRequest(
                caller: .edge, method: MethodRegistry.httpWrite,
                header: RequestHeader(
                    requestID: "r1", principal: principal,
                    http: HTTPRequestHead(method: method, path: path, query: query, fields: fields)),
                payload: ByteBuffer(), deadline: .now + .seconds(1)))
        let head = try #require(reply.header.http)
        return (head.status, head, String(buffer: reply.payload))
    }

    @Test(
        "The function's name is the first segment, and it gets the whole target",
        arguments: [
            ("/open", "", "open POST /open"), ("/open/a/b%20c", "x=1&x=2", "open POST /open/a/b%20c?x=1&x=2"),
            ("/open/", "", "open POST /open/"),
        ])
    func targets(path: String, query: String, expected: String) async throws {
        let answer = try await ask("POST", path, query: query)
        #expect(answer.status == 207)
        #expect(answer.body == expected)
    }

    @Test("HEAD is asked as GET")
    func head() async throws { #expect(try await ask("HEAD").body == "open GET /open") }

    static let refusals: [(method: String, path: String, status: UInt16, code: String)] = [
        ("POST", "/", 400, "BAD_REQUEST"), ("POST", "/none", 404, "NOT_FOUND"), ("POST", "/off", 404, "NOT_FOUND"),
        ("POST", "/_admin/jobs", 404, "NOT_FOUND"), ("POST", "/inner", 404, "NOT_FOUND"), ("POST", "/a%2Fb", 404, "NOT_FOUND"),
        ("PROPFIND", "/open", 405, "METHOD_NOT_ALLOWED"), ("TRACE", "/none", 405, "METHOD_NOT_ALLOWED"),
    ]

    @Test("What is no call is refused by the platform", arguments: refusals)
    func refused(method: String, path: String, status: UInt16, code: String) async throws {
        let answer = try await ask(method, path)
        #expect(answer.status == status)
        #expect(answer.head["x-relay-error"] == "true")
        #expect(answer.head["sb-error-code"] == code)
        let body = try #require(try JSONValue(parsing: answer.body).objectValue)
        #expect(body["code"] == .string(code))
        #expect(body["message"] == body["msg"])
    }

    /// `{"alg":"HS256"}` and `{"alg":"ES256"}`.
    static let tokens: [(principal: Principal, authorization: String?, code: String?)] = [
        (Principal(), nil, "UNAUTHORIZED_NO_AUTH_HEADER"),
        (Principal(), "Basic x", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (Principal(tokenStatus: .invalid, tokenError: "parts:1"), "Bearer x", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (
            Principal(tokenStatus: .invalid, tokenError: "key"), "Bearer eyJhbGciOiJIUzI1NiJ9.a.b",
            "UNAUTHORIZED_LEGACY_JWT"
        ),
        (
            Principal(tokenStatus: .invalid, tokenError: "expired"), "Bearer eyJhbGciOiJFUzI1NiJ9.a.b",
            "UNAUTHORIZED_ASYMMETRIC_JWT"
        ),
        (
            Principal(tokenStatus: .invalid, tokenError: "algorithm"), "Bearer a.b.c",
            "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM"
        ),
        (Principal(tokenStatus: .valid, role: "anon", claims: #"{"role":"anon"}"#), "Bearer x", nil),
    ]

    @Test("verify_jwt asks for a valid token, whoever's", arguments: tokens)
    func verifies(principal: Principal, authorization: String?, code: String?) async throws {
        let fields = authorization.map { [HTTPField("authorization", $0)] } ?? []
        let closed = try await ask("POST", "/closed", fields: fields, principal: principal)
        #expect(closed.status == (code == nil ? 207 : 401))
        #expect(closed.head["sb-error-code"] == code)
        #expect(closed.head["x-relay-error"] == nil)
        // Without verification, and for a preflight, everything passes.
        #expect(try await ask("POST", "/open", fields: fields, principal: principal).status == 207)
        #expect(try await ask("OPTIONS", "/closed", fields: fields, principal: principal).status == 207)
    }

    @Test("A function is told who asks and from where; what a client claims of it is dropped")
    func claims() async throws {
        let fields = [
            HTTPField("x-martlet-claims", "{}"), HTTPField("cookie", "a=b"), HTTPField("x-forwarded-host", "api.test"),
            HTTPField("x-martlet-job-id", "7"),
        ]
        let answer = try await ask(
            "POST", "/open", fields: fields,
            principal: Principal(
                tokenStatus: .valid, role: "authenticated", claims: "{\n \"role\":\"authenticated\",\"name\":\"é😀\"}",
                clientAddress: "192.0.2.1"))
        let claims = answer.head.fields.filter { $0.name == "x-martlet-claims" }.map(\.value)
        #expect(claims == [#"{"role":"authenticated","name":"\u00e9\ud83d\ude00"}"#])
        #expect(answer.head["cookie"] == "a=b")
        #expect(answer.head["host"] == "api.test")
        #expect(answer.head["x-forwarded-for"] == "192.0.2.1")
        #expect(answer.head["x-forwarded-prefix"] == "/functions/v1")
        #expect(answer.head["x-martlet-job-id"] == nil)
        let bare = try await ask("POST", "/open", fields: fields)
        #expect(bare.head["x-martlet-claims"] == nil)
    }

    @Test("A failure of the platform has its status, code and header", arguments: FunctionFailure.Code.allCases)
    func failures(code: FunctionFailure.Code) async throws {
        let answer = try await ask(failure: FunctionFailure(code: code, wasDelivered: false, detail: "secret"))
        #expect(answer.status == code.status)
        #expect(answer.head["sb-error-code"] == code.rawValue)
        #expect(answer.head["x-relay-error"] == "true")
        #expect((answer.head["retry-after"] != nil) == (code == .tooManyRequests))
        #expect(!answer.body.contains("secret"))
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import MartletWire
import Testing

@testable import MartletEdge

/// Paths, prefixes, preflights and error envelopes.
@Suite("Edge: routing")
struct RoutingTests {
    @Test("A path belongs to the prefix that it begins with, by whole segments",
        arguments: [
            ("/rest/v1", "data /"), ("/rest/v1/", "data /"), ("/rest/v1/todos", "data /todos"),
            ("/rest/v1x", "-"), ("/rest/v10/todos", "-"), ("/auth/v1/token", "auth /token"), ("/auth/v1//x", "auth //x"),
            ("/realtime/v1/websocket", "notification /websocket"), ("/realtime/v1", "notification /"), ("/functions/v1/a/b", "logic /a/b"),
            ("/", "-"), ("/Rest/v1/todos", "-"), ("/x/rest/v1/todos", "-"), ("", "-"),
        ])
    func prefixes(_ path: String, _ expected: String) {
        let match = RouteTable.match(path)
        #expect((match.map { "\($0.route.owner.rawValue) \($0.path)" } ?? "-") == expected)
    }

    @Test("The open paths of auth need no key, their neighbours do",
        arguments: [
            ("/health", true), ("/verify", true), ("/.well-known/jwks.json", true), ("/sso/saml/acs", true),
            ("/oauth/token", true), ("/token", false), ("/user", false), ("/verifyx", false), ("/oauth/clients", false),
            ("/admin/users", false), ("/", false), ("/health/", false), ("/.well-known", false),
        ])
    func openPaths(_ path: String, _ isOpen: Bool) {
        #expect(RouteTable.auth.gate.isOpen(Substring(path)) == isOpen)
        #expect(!RouteTable.rest.gate.isOpen(Substring(path)))
    }

    @Test("A preflight allows what is asked for, once, and only names of headers")
    func preflight() {
        #expect(
            CORSPolicy.rest.allowedHeaders(requested: "apikey, Authorization,x-client-info ,bad name, a\r\nb,apikey")
                == "Authorization, Accept, Accept-Language, Content-Language, apikey, x-client-info, bad")
        #expect(CORSPolicy.auth.allowedHeaders(requested: nil) == CORSPolicy.auth.headers)
        #expect(CORSPolicy.functions.isLeftToOwner)
    }

    @Test("A target is split and decoded, or refused",
        arguments: [
            ("/a/b?x=1&y", "/a/b|x=1&y|/a/b"), ("/", "/||/"), ("/a%20b", "/a%20b||/a b"), ("/a+b", "/a+b||/a+b"),
            ("http://h/p?q", "/p|q|/p"), ("http://h", "/||/"), ("http://h?q=1", "/|q=1|/"), ("/%", "/%||-"),
            ("/%zz", "/%zz||-"), ("/%ff", "/%ff||-"), ("*", "-"), ("a", "-"), ("", "-"), ("/a?b?c", "/a|b?c|/a"),
        ])
    func targets(_ text: String, _ expected: String) {
        let target = RequestTarget(text)
        #expect((target.map { "\($0.path)|\($0.query)|\($0.decodedPath ?? "-")" } ?? "-") == expected)
    }

    @Test("Names of fields are found whatever their case, and no others")
    func fieldNames() {
        let names = FieldNames(["te", "host", "x-real-ip"])
        for name in ["te", "TE", "Te", "host", "HOST", "X-Real-IP"] { #expect(names.contains(name)) }
        for name in ["", "t", "tee", "hos", "hosts", "x_real-ip", "X-Real\u{d}IP", "x-real-ipx", "h@st"] {
            #expect(!names.contains(name), "\(name)")
        }
        #expect(!FieldNames([]).contains("te"))
        #expect(FieldNames.isEqual("Content-Length", "content-length"))
        #expect(!FieldNames.isEqual("Content[Length", "content{length"))
    }

    @Test("A query parameter is found and decoded")
    func parameters() {
        let target = RequestTarget("/x?apikeys=no&apikey=a%2Bb+c&apikey=second&empty")
        #expect(target?.parameter("apikey") == "a+b c")
        #expect(target?.parameter("empty") == "")
        #expect(target?.parameter("none") == nil)
        #expect(RequestTarget("/" + String(repeating: "a", count: RequestTarget.bytesMax)) == nil)
    }

    @Test("Each dialect has its own envelope")
    func envelopes() throws {
        let error = EdgeError(status: 503, code: "service_unavailable", message: "a \"quoted\" word")
        let rest = ErrorDialect.rest.render(error, requestID: "r1", apiVersion: nil)
        #expect(try JSONValue(parsing: rest.body).objectValue?.keys == ["code", "details", "hint", "message"])
        let old = ErrorDialect.auth.render(error, requestID: "r1", apiVersion: nil)
        #expect(
            old.body
                == #"{"code":503,"error_code":"service_unavailable","msg":"a \"quoted\" word","error_id":"r1"}"#)
        #expect(!old.headers.contains { $0.name == "X-Supabase-Api-Version" })
        let new = ErrorDialect.auth.render(error, requestID: "r1", apiVersion: "2025-03-04")
        #expect(new.body == #"{"code":"service_unavailable","message":"a \"quoted\" word"}"#)
        #expect(new.headers.contains { $0 == ("X-Supabase-Api-Version", "2024-01-01") })
        for odd in ["2023-12-31", "yesterday", "2024-1-1", ""] {
            #expect(ErrorDialect.auth.render(error, requestID: "", apiVersion: odd).body.hasPrefix(#"{"code":503"#))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import Testing

/// Where mails and sign-ins may lead to: AU-160, AU-161.
@Suite struct RedirectTests {
    private static let policy = RedirectPolicy(
        siteURL: "https://app.example.test",
        allowed: [
            "https://*.example.com/**", "myapp://callback", "https://shop.test/{in,out}/?", "https://[a-c].test/x*",
            "javascript:**", "http://**",
        ])

    @Test(arguments: [
        "https://app.example.test", "https://app.example.test/deep/path?x=1#y", "https://APP.example.test:443/",
        "https://a.example.com/x/y.z", "myapp://callback", "https://shop.test/in/a", "https://shop.test/out/b",
        "https://b.test/xyz", "http://plain.test/x", "http://127.0.0.1:3000/x", "http://[::1]:3000/",
    ])
    func `An address of the site or of the list is allowed`(text: String) { #expect(Self.policy.allows(text)) }

    @Test(arguments: [
        "", "/relative", "//evil.example", "https:/\\evil.example", "https:evil.example",
        "https://app.example.test.evil.net/", "https://app.example.test@evil.net/",
        "https://evil.net#https://app.example.test/", "javascript:alert(1)//https://app.example.test/",
        "http://2130706433/", "http://10.0.0.1/", "http://[fe80::1]/", "https://app.example.test%2eevil.net/",
        "https://app.example\t.test/", "https://app.example.test/\n", "https://app.example.test:444/",
        "http://app.example.test\\@x/", "https://example.com.evil.net/", "https://a.b.example.com/",
        "myapp://callback/x",
        "https://shop.test/in/ab", "https://shop.test/on/a", "https://d.test/x", "data:text/html,x", "https://",
        "https://ex\u{430}mple.com/", "JaVaScRiPt:alert(1)", "https://app.example.test:x/",
    ])
    func `Anything else falls back to the site`(text: String) {
        #expect(!Self.policy.allows(text))
        #expect(Self.policy.target([text]) == "https://app.example.test")
    }

    @Test func `On the own machine every port is the site's`() {
        let policy = RedirectPolicy(siteURL: "http://localhost:8000")
        #expect(policy.allows("http://localhost:5173/x"))
        #expect(!policy.allows("https://localhost:5173/x"))
        #expect(!policy.allows("http://localhost.evil.net/"))
    }

    @Test func `The first candidate that is allowed counts`() {
        #expect(
            Self.policy.target([nil, "https://evil.net", "myapp://callback", "https://app.example.test/x"])
                == "myapp://callback")
    }

    @Test func `No pattern makes a long address slow`() {
        let policy = RedirectPolicy(
            siteURL: "https://a.test",
            allowed: ["https://**a**a**a**a**a**a**a**b", String(repeating: "{a,b}", count: 40)])
        let clock = ContinuousClock()
        let taken = clock.measure {
            #expect(!policy.allows("https://" + String(repeating: "a", count: 2_000)))
        }
        #expect(taken < .seconds(2))
    }
}

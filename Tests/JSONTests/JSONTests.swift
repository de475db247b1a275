// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import Testing

@Suite("JSON")
struct JSONTests {
    @Test(
        "Documents come out as they went in",
        arguments: [
            "null", "true", "[]", "{}", "0", "-0", "-1.50e+10", "12345678901234567890.10",
            #"{"b":1,"a":[1,"x",null,{"c":false}]}"#, #""quote \" backslash \\ tab \t nul \u0000""#, #""Grüße 🐦""#,
        ])
    func roundTrip(text: String) throws {
        #expect(try JSONValue(parsing: text).text == text)
    }

    @Test("White space and escapes are read")
    func reads() throws {
        let value = try JSONValue(parsing: " {\"a\" : [ 1 , \"\\ud83d\\udc26\\/\\u00e9\" ] }\r\n")
        #expect(value == ["a": [1, "🐦/é"]])
    }

    @Test("The last of duplicate members wins, also among many")
    func duplicates() throws {
        #expect(try JSONValue(parsing: #"{"a":1,"b":2,"a":3}"#) == ["a": 3, "b": 2])
        let many = "{" + (0..<100).map { "\"k\($0 % 50)\":\($0)" }.joined(separator: ",") + "}"
        let object = try #require(JSONValue(parsing: many).objectValue)
        #expect(object.count == 50)
        #expect(object["k7"] == 57)
    }

    @Test(
        "What is no JSON is refused with the place of the fault",
        arguments: [
            ("", JSONError.Reason.unexpectedEnd, 0), ("tru", .unexpectedEnd, 3), ("nul1", .unexpectedByte, 3),
            ("01", .trailingBytes, 1), ("1.", .unexpectedEnd, 2), ("1.x", .invalidNumber, 2), ("-", .unexpectedEnd, 1),
            ("[1,]", .unexpectedByte, 3), ("[1 2]", .unexpectedByte, 3), ("{\"a\"}", .unexpectedByte, 4),
            ("{a:1}", .unexpectedByte, 1), ("\"\\x\"", .invalidString, 2), ("\"\u{1}\"", .invalidString, 1),
            ("\"\\ud800\"", .loneSurrogate, 3), ("\"\\udc00\"", .loneSurrogate, 3), ("\"abc", .unexpectedEnd, 4),
            ("[1]x", .trailingBytes, 3), ("'a'", .unexpectedByte, 0), ("NaN", .unexpectedByte, 0),
        ])
    func refuses(text: String, reason: JSONError.Reason, offset: Int) {
        #expect(throws: JSONError(reason: reason, offset: offset)) { try JSONValue(parsing: text) }
    }

    @Test("Bytes that are no UTF-8 are refused")
    func invalidUTF8() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xC3, 0x28, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0xFF]) }
    }

    @Test("Nesting is bounded")
    func depth() throws {
        let fits = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try JSONValue(parsing: fits).text == fits)
        #expect(throws: JSONError(reason: .tooDeep, offset: 64)) { try JSONValue(parsing: "[" + fits + "]") }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "{\"a\":", count: 1_000_000)) }
    }

    @Test("Every prefix of a document and random bytes end in an error, never in a trap")
    func hostile() throws {
        let text = #"{"a":[1.5e3,"\ud83d\udc26",true,null],"b":{"c":"d"}}"#
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            #expect(throws: JSONError.self) { try JSONValue(parsing: bytes[..<count]) }
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var mutated = bytes
            for _ in 0..<3 {
                let place = Int.random(in: 0..<mutated.count, using: &generator)
                mutated[place] = UInt8.random(in: 0...255, using: &generator)
            }
            if let value = try? JSONValue(parsing: mutated) { #expect(try JSONValue(parsing: value.text) == value) }
        }
    }

    @Test("Setting nil removes a member and keeps the others")
    func removal() {
        var object = JSONObject((0..<30).map { ("k\($0)", .integer($0)) })
        object["k3"] = nil
        #expect(object["k3"] == nil)
        #expect(object["k29"] == 29)
        #expect(object.count == 29)
    }
}

// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import Testing

@testable import MartletTracing

@Suite("Traces: how spans are written")
struct EncodingTests {
    private static let first: SpanRecord = {
        var attributes = SpanAttributes()
        attributes.set(.httpRoute, "/rest/v1")
        attributes.set(.httpStatus, 503)
        attributes.set(.urlPath, "/rest/v1/größe")
        attributes.set(.requestID, "abc")
        attributes.set(.errorType, "503")
        return SpanRecord(
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", parent: "00f067aa0ba902b7",
            name: "GET /rest/v1", kind: .server, began: 1_800_000_000_000_000_001, ended: 1_800_000_000_002_500_001,
            attributes: attributes, hasFailed: true)
    }()
    private static let second = SpanRecord(
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01", parent: nil, name: "x", kind: .internal,
        began: 5, ended: 6, attributes: SpanAttributes(), hasFailed: false)

    private static func source(_ name: String) -> SpanSource {
        SpanSource(name: name, instance: "i-1", version: "1.2.3", environment: "production")
    }

    private static func body(_ encoding: SpanEncoding) -> [UInt8] {
        let (first, second) = (encoding.encode(first), encoding.encode(second))
        return encoding.body([
            (source("martlet-edge"), first + encoding.separator + second), (source("martlet-data"), second),
        ])
    }

    /// What Python's opentelemetry-proto 1.45.2 writes for the same spans.
    private static let golden = """
        0a8f040a87010a1e0a0c736572766963652e6e616d65120e0a0c6d6172746c65742d656467650a1c0a13736572766963652e696e
        7374616e63652e696412050a03692d310a1a0a0f736572766963652e76657273696f6e12070a05312e322e330a2b0a1b6465706c
        6f796d656e742e656e7669726f6e6d656e742e6e616d65120c0a0a70726f64756374696f6e12d9020a100a076d6172746c657412
        05312e322e3312e0010a100af7651916cd43dd8448eb211c80319c1208b7ad6b7169203331220800f067aa0ba902b72a0c474554
        202f726573742f76313002390100b49376e2fa1841a125da9376e2fa184a180a0a687474702e726f757465120a0a082f72657374
        2f76314a200a19687474702e726573706f6e73652e7374617475735f636f6465120318f7034a1e0a0875726c2e7061746812120a
        102f726573742f76312f6772c3b6c39f654a1b0a126d6172746c65742e726571756573745f696412050a036162634a130a0a6572
        726f722e7479706512050a033530337a02180285010103000012390a100af7651916cd43dd8448eb211c80319c120800f067aa0b
        a902b72a017830013905000000000000004106000000000000008501010100001a2768747470733a2f2f6f70656e74656c656d65
        7472792e696f2f736368656d61732f312e34342e301a2768747470733a2f2f6f70656e74656c656d657472792e696f2f73636865
        6d61732f312e34342e300aab020a87010a1e0a0c736572766963652e6e616d65120e0a0c6d6172746c65742d646174610a1c0a13
        736572766963652e696e7374616e63652e696412050a03692d310a1a0a0f736572766963652e76657273696f6e12070a05312e32
        2e330a2b0a1b6465706c6f796d656e742e656e7669726f6e6d656e742e6e616d65120c0a0a70726f64756374696f6e12760a100a
        076d6172746c65741205312e322e3312390a100af7651916cd43dd8448eb211c80319c120800f067aa0ba902b72a017830013905
        000000000000004106000000000000008501010100001a2768747470733a2f2f6f70656e74656c656d657472792e696f2f736368
        656d61732f312e34342e301a2768747470733a2f2f6f70656e74656c656d657472792e696f2f736368656d61732f312e34342e30
        """

    @Test("Protocol Buffers are those of the official schema, byte for byte")
    func protobuf() {
        let digits = Self.body(.protobuf).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        #expect(digits.joined() == Self.golden.split(separator: "\n").joined())
    }

    @Test("JSON has ids in digits and 64-bit numbers as texts")
    func json() throws {
        let document = try JSONValue(parsing: Self.body(.json))
        let resources = try #require(document["resourceSpans"]?.arrayValue)
        #expect(resources.count == 2)
        let name = resources[1]["resource"]?["attributes"]?.arrayValue?.first?["value"]?["stringValue"]
        #expect(name == "martlet-data")
        let spans = try #require(resources[0]["scopeSpans"]?.arrayValue?.first?["spans"]?.arrayValue)
        #expect(spans.count == 2)
        #expect(spans[0]["traceId"] == "0af7651916cd43dd8448eb211c80319c")
        #expect(spans[0]["spanId"] == "b7ad6b7169203331")
        #expect(spans[0]["parentSpanId"] == "00f067aa0ba902b7")
        #expect(spans[0]["startTimeUnixNano"] == "1800000000000000001")
        #expect(spans[0]["kind"] == 2)
        #expect(spans[0]["status"]?["code"] == 2)
        #expect(spans[0]["attributes"]?.arrayValue?[1]["value"]?["intValue"] == "503")
        #expect(spans[1]["parentSpanId"] == nil)
        #expect(spans[1]["status"] == nil)
    }

    @Test("A long text is cut at a character within the bound")
    func longTexts() {
        var attributes = SpanAttributes()
        attributes.set(.urlPath, "/" + String(repeating: "ä", count: 2_000))
        guard case .text(let text)? = attributes.values.first?.value else {
            Issue.record("No text")
            return
        }
        #expect(text.utf8.count == SpanAttributes.textBytesMax - 1)
        #expect(text.unicodeScalars.last == "ä")
        attributes.set(.httpRoute, nil)
        attributes.set(.caller, "")
        #expect(attributes.values.count == 1)
    }

    @Test("A partial success is read in both forms, and nothing is read out of nonsense")
    func partialSuccess() throws {
        let bytes: [UInt8] = [0x0A, 0x0B, 0x08, 3, 0x12, 7] + Array("too old".utf8)
        let read = try #require(PartialSuccess.read(bytes, .protobuf))
        #expect(read == (3, "too old"))
        let text = #"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too\nold"}}"#
        let parsed = try #require(PartialSuccess.read(Array(text.utf8), .json))
        #expect(parsed == (3, "tooold"))
        for body in [[], [0x0A], [0x0A, 0xFF, 0xFF, 0xFF], [0xFF], [0x0A, 2, 8]] as [[UInt8]] {
            #expect(PartialSuccess.read(body, .protobuf)?.rejected ?? 0 == 0)
            #expect(PartialSuccess.read(body, .json) == nil)
        }
    }
}

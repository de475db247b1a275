// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// OTLP in JSON: ids in hexadecimal, 64-bit numbers as texts, enumerations as numbers (OTLP, "JSON Protobuf Encoding").
enum JSONSpans {
    static func span(_ record: SpanRecord) -> [UInt8] {
        var text = #"{"traceId":"\#(record.traceID)","spanId":"\#(record.spanID)""#
        if let parent = record.parent { text += #","parentSpanId":"\#(parent)""# }
        text += #","name":\#(quoted(record.name)),"kind":\#(record.kind.rawValue)"#
        text += #","startTimeUnixNano":"\#(record.began)","endTimeUnixNano":"\#(record.ended)","attributes":["#
        var isFirst = true
        for (key, value) in record.attributes.values {
            if !isFirst { text += "," }
            isFirst = false
            switch value {
            case .text(let value): text += pair(key.rawValue, value)
            case .number(let number): text += #"{"key":"\#(key.rawValue)","value":{"intValue":"\#(number)"}}"#
            }
        }
        text += "]"
        if record.hasFailed { text += #","status":{"code":\#(statusError)}"# }
        text += #","flags":\#(record.flags)}"#
        return Array(text.utf8)
    }

    static func request(_ parts: [(source: SpanSource, spans: [UInt8])]) -> [UInt8] {
        var bytes = Array(#"{"resourceSpans":["#.utf8)
        for (index, part) in parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            let resource = part.source.attributes.map { pair($0.key, $0.value) }.joined(separator: ",")
            let version = quoted(part.source.version)
            bytes += #"{"resource":{"attributes":[\#(resource)]},"scopeSpans":[{"#.utf8
            bytes += #""scope":{"name":"\#(SpanSource.scope)","version":\#(version)},"spans":["#.utf8
            bytes += part.spans
            bytes += #"],"schemaUrl":"\#(SpanEncoding.schema)"}],"schemaUrl":"\#(SpanEncoding.schema)"}"#.utf8
        }
        bytes += "]}".utf8
        return bytes
    }

    private static func pair(_ key: String, _ value: String) -> String {
        #"{"key":"\#(key)","value":{"stringValue":\#(quoted(value))}}"#
    }

    private static func quoted(_ text: String) -> String { JSONValue.string(text).text }
}

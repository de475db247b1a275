// SPDX-License-Identifier: Apache-2.0

/// OTLP in Protocol Buffers. By hand: eight messages, of which generated code would make several thousand lines.
enum ProtobufSpans {
    static func span(_ record: SpanRecord) -> [UInt8] {
        var bytes = ProtobufBytes()
        // ScopeSpans.spans
        bytes.message(2) { span in
            span.hexadecimal(1, record.traceID)
            span.hexadecimal(2, record.spanID)
            if let parent = record.parent { span.hexadecimal(4, parent[...]) }
            span.text(5, record.name)
            span.varint(6, UInt64(record.kind.rawValue))
            span.fixed64(7, record.began)
            span.fixed64(8, record.ended)
            for (key, value) in record.attributes.values {
                span.message(9) { pair in
                    pair.text(1, key.rawValue)
                    pair.message(2) { any in
                        switch value {
                        case .text(let text): any.text(1, text)
                        case .number(let number): any.varint(3, UInt64(bitPattern: number))
                        }
                    }
                }
            }
            if record.hasFailed { span.message(15) { $0.varint(3, statusError) } }
            span.fixed32(16, record.flags)
        }
        return bytes.bytes
    }

    static func request(_ parts: [(source: SpanSource, spans: [UInt8])]) -> [UInt8] {
        var bytes = ProtobufBytes(capacity: parts.reduce(0) { $0 + $1.spans.count + 512 })
        for (source, spans) in parts {
            // ResourceSpans
            bytes.message(1) { entry in
                entry.message(1) { resource in
                    for (key, value) in source.attributes {
                        resource.message(1) { pair in
                            pair.text(1, key)
                            pair.message(2) { $0.text(1, value) }
                        }
                    }
                }
                entry.message(2) { scope in
                    scope.message(1) { about in
                        about.text(1, SpanSource.scope)
                        about.text(2, source.version)
                    }
                    scope.append(spans)
                    scope.text(3, SpanEncoding.schema)
                }
                entry.text(3, SpanEncoding.schema)
            }
        }
        return bytes.bytes
    }
}

/// Writes fields into bytes that grow.
struct ProtobufBytes {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 512) { bytes.reserveCapacity(capacity) }

    mutating func varint(_ field: UInt32, _ value: UInt64) {
        key(field, 0)
        raw(value)
    }

    mutating func fixed64(_ field: UInt32, _ value: UInt64) {
        key(field, 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func fixed32(_ field: UInt32, _ value: UInt32) {
        key(field, 5)
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func text(_ field: UInt32, _ text: String) {
        key(field, 2)
        raw(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    /// The bytes that pairs of digits stand for.
    mutating func hexadecimal(_ field: UInt32, _ digits: Substring) {
        key(field, 2)
        raw(UInt64(digits.utf8.count / 2))
        var high: UInt8?
        for digit in digits.utf8 {
            let value = digit < UInt8(ascii: "a") ? digit &- UInt8(ascii: "0") : digit &- UInt8(ascii: "a") &+ 10
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
    }

    /// A nested message; its length is put in afterwards.
    mutating func message(_ field: UInt32, _ body: (inout ProtobufBytes) -> Void) {
        key(field, 2)
        let lengthAt = bytes.count
        // One byte is enough for most; longer messages are moved.
        bytes.append(0)
        body(&self)
        let length = bytes.count - lengthAt - 1
        guard length >= 0x80 else {
            bytes[lengthAt] = UInt8(length)
            return
        }
        var prefix: [UInt8] = []
        var rest = length
        while rest >= 0x80 {
            prefix.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        prefix.append(UInt8(rest))
        bytes.replaceSubrange(lengthAt...lengthAt, with: prefix)
    }

    /// Fields that are written already.
    mutating func append(_ fields: [UInt8]) { bytes.append(contentsOf: fields) }

    private mutating func key(_ field: UInt32, _ wireType: UInt32) { raw(UInt64(field << 3 | wireType)) }

    private mutating func raw(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

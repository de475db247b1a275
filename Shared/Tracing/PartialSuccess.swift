// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// `ExportTraceServiceResponse`: how many spans a collector did not keep although it answered 200.
enum PartialSuccess {
    /// Of the collector's words, in bytes.
    private static let wordsMax = 200

    static func read(_ body: [UInt8], _ encoding: SpanEncoding) -> (rejected: Int, words: String)? {
        switch encoding {
        case .json: readJSON(body)
        case .protobuf: readProtobuf(body)
        }
    }

    private static func readJSON(_ body: [UInt8]) -> (Int, String)? {
        guard let document = try? JSONValue(parsing: body), let partial = document["partialSuccess"] else { return nil }
        let rejected = partial["rejectedSpans"]
        guard let count = rejected?.int64Value ?? rejected?.stringValue.flatMap({ Int64($0) }) else { return nil }
        return (Int(count), plain(Array((partial["errorMessage"]?.stringValue ?? "").utf8)))
    }

    private static func readProtobuf(_ body: [UInt8]) -> (Int, String)? {
        var reply = Fields(body[...])
        while let (number, value) = reply.next() {
            guard number == 1, case .bytes(let bytes) = value else { continue }
            var (partial, count, words) = (Fields(bytes), 0, "")
            while let (number, value) = partial.next() {
                switch (number, value) {
                case (1, .varint(let value)): count = Int(clamping: value)
                case (2, .bytes(let value)): words = plain(Array(value))
                default: break
                }
            }
            return (count, words)
        }
        return nil
    }

    /// For a log line: without control characters.
    private static func plain(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.prefix(wordsMax).filter { $0 >= 0x20 && $0 != 0x7F }, as: UTF8.self)
    }

    /// The fields of a message, as far as they are well formed.
    private struct Fields {
        enum Value {
            case varint(UInt64)
            case bytes(ArraySlice<UInt8>)
            case other
        }

        private var rest: ArraySlice<UInt8>

        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

        mutating func next() -> (number: UInt64, value: Value)? {
            guard !rest.isEmpty, let key = varint() else { return nil }
            switch key & 7 {
            case 0: return varint().map { (key >> 3, .varint($0)) }
            case 1: return take(8) == nil ? nil : (key >> 3, .other)
            case 2:
                guard let length = varint(), let count = Int(exactly: length), let bytes = take(count) else {
                    return nil
                }
                return (key >> 3, .bytes(bytes))
            case 5: return take(4) == nil ? nil : (key >> 3, .other)
            default: return nil
            }
        }

        private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }

        private mutating func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                value |= UInt64(byte & 0x7F) << shift
                if byte & 0x80 == 0 { return value }
            }
            return nil
        }
    }
}

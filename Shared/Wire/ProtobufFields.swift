// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Protocol Buffers' wire types that our headers use.
enum FieldWireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}

/// What is made of fields.
package protocol FieldCoded {
    init(decoding bytes: RawSpan) throws(WireError)
}

extension FieldCoded {
    package init(decoding buffer: ByteBuffer) throws(WireError) { try self.init(decoding: buffer.readableBytesSpan) }
}

/// Writes proto3 fields into memory that has room for all of them; a field that has its default value is left out.
///
/// The memory is reserved once for the whole header, so that a field costs no more than its bytes.
struct FieldWriter {
    /// The most that a field takes beside its text: a key of one byte and 64 bits in groups of seven.
    static let fieldBytesMax = 11

    private let bytes: UnsafeMutableRawBufferPointer
    fileprivate private(set) var count = 0

    fileprivate init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

    mutating func varint(_ number: UInt8, _ value: UInt64) {
        guard value != 0 else { return }
        key(number, .varint)
        raw(value)
    }

    mutating func text(_ number: UInt8, _ value: String) {
        guard !value.isEmpty else { return }
        always(number, value)
    }

    /// Writes an element of a repeated field, also when it is empty.
    mutating func always(_ number: UInt8, _ value: String) {
        var value = value
        value.withUTF8 { text in
            key(number, .bytes)
            raw(UInt64(text.count))
            reserve(text.count)
            UnsafeMutableRawBufferPointer(rebasing: bytes[count...]).copyMemory(from: UnsafeRawBufferPointer(text))
            count += text.count
        }
    }

    /// Writes a nested message in place; its length is put in afterwards, in as many bytes as it needs.
    mutating func message(_ number: UInt8, _ body: (inout FieldWriter) -> Void) {
        key(number, .bytes)
        let lengthAt = count
        // One byte is enough for most; longer messages are moved.
        byte(0)
        body(&self)
        let start = lengthAt + 1
        let length = count - start
        guard length >= 0x80 else {
            bytes[lengthAt] = UInt8(length)
            return
        }
        var width = 1
        while length >> (7 * width) > 0 { width += 1 }
        reserve(width - 1)
        UnsafeMutableRawBufferPointer(rebasing: bytes[(lengthAt + width)...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<count]))
        count = lengthAt
        raw(UInt64(length))
        count += length
    }

    /// Numbers below 16, which all of ours are, make keys of one byte.
    private mutating func key(_ number: UInt8, _ type: FieldWireType) { byte(number << 3 | type.rawValue) }

    private mutating func raw(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(rest))
    }

    private mutating func byte(_ value: UInt8) {
        reserve(1)
        bytes[count] = value
        count += 1
    }

    /// Holds by `byteCountMax`; said once more, since behind the end there is somebody else's memory.
    private func reserve(_ more: Int) { precondition(more <= bytes.count - count) }
}

extension ByteBuffer {
    /// Appends what `body` writes, which has at most so many bytes.
    mutating func writeFields(atMost bytesMax: Int, _ body: (inout FieldWriter) -> Void) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: bytesMax) { bytes in
            var writer = FieldWriter(bytes)
            body(&writer)
            return writer.count
        }
    }
}

/// Reads fields one after the other; unknown ones are skipped by the caller.
struct FieldReader {
    private let bytes: UnsafeRawBufferPointer
    private var index = 0

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Reads these bytes; ends with the function that they were lent to.
    init(_ bytes: RawSpan) { self.init(bytes.withUnsafeBytes { $0 }) }

    var isAtEnd: Bool { index == bytes.count }

    /// Number and wire type of the next field.
    mutating func key() throws(WireError) -> (number: UInt32, type: FieldWireType) {
        let raw = try rawVarint()
        guard let type = FieldWireType(rawValue: UInt8(raw & 7)), let number = UInt32(exactly: raw >> 3), number > 0
        else { throw .badHeader }
        return (number, type)
    }

    mutating func varint(_ type: FieldWireType) throws(WireError) -> UInt64 {
        guard type == .varint else { throw .badHeader }
        return try rawVarint()
    }

    mutating func text(_ type: FieldWireType) throws(WireError) -> String {
        // A third of what `String(validating:as:)` takes.
        let text = Span<UInt8>(_unsafeBytes: try piece(type))
        guard let valid = try? UTF8Span(validating: text) else { throw .badHeader }
        return String(copying: valid)
    }

    mutating func message(_ type: FieldWireType) throws(WireError) -> FieldReader { FieldReader(try piece(type)) }

    mutating func skip(_ type: FieldWireType) throws(WireError) {
        #if MUTANT_WIRE_UNKNOWN_FIELDS_REFUSED
            throw .badHeader
        #else
            switch type {
            case .varint: _ = try rawVarint()
            case .fixed64: _ = try take(8)
            case .fixed32: _ = try take(4)
            case .bytes: _ = try piece(type)
            }
        #endif
    }

    /// The bytes of a field that begins with its length.
    private mutating func piece(_ type: FieldWireType) throws(WireError) -> UnsafeRawBufferPointer {
        guard type == .bytes, let length = Int(exactly: try rawVarint()) else { throw .badHeader }
        return try take(length)
    }

    private mutating func take(_ length: Int) throws(WireError) -> UnsafeRawBufferPointer {
        guard length <= bytes.count - index else { throw .badHeader }
        defer { index += length }
        return UnsafeRawBufferPointer(rebasing: bytes[index..<index + length])
    }

    private mutating func rawVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<min(bytes.count - index, Self.varintBytesMax) {
            let byte = bytes[index + place]
            guard place < Self.varintBytesMax - 1 || byte <= 1 else { throw .badHeader }
            value |= UInt64(byte & 0x7F) << (7 * UInt64(place))
            if byte & 0x80 == 0 {
                index += place + 1
                return value
            }
        }
        throw .badHeader
    }

    /// 64 bits in groups of seven.
    private static let varintBytesMax = 10
}

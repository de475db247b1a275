// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Protocol Buffers' wire types that our headers use.
enum FieldWireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}

/// Writes proto3 fields: a field that has its default value is left out.
struct FieldWriter {
    private(set) var buffer: ByteBuffer

    init(_ buffer: ByteBuffer) { self.buffer = buffer }

    mutating func varint(_ number: UInt32, _ value: UInt64) {
        guard value != 0 else { return }
        key(number, .varint)
        raw(value)
    }

    mutating func text(_ number: UInt32, _ value: String) {
        guard !value.isEmpty else { return }
        always(number, value)
    }

    /// Writes an element of a repeated field, also when it is empty.
    mutating func always(_ number: UInt32, _ value: String) {
        let count = value.utf8.count
        if number < 16, count < 0x80 {
            // Nearly every field of ours: key and length have a byte each.
            buffer.writeMultipleIntegers(UInt8(number) << 3 | FieldWireType.bytes.rawValue, UInt8(count))
        } else {
            key(number, .bytes)
            raw(UInt64(count))
        }
        buffer.writeString(value)
    }

    /// Writes a nested message in place; its length is put in afterwards, in as many bytes as it needs.
    mutating func message(_ number: UInt32, _ body: (inout FieldWriter) -> Void) {
        key(number, .bytes)
        let lengthAt = buffer.writerIndex
        // One byte is enough for most; longer messages are moved.
        buffer.writeInteger(UInt8(0))
        body(&self)
        let start = lengthAt + 1
        let count = buffer.writerIndex - start
        guard count >= 0x80 else {
            buffer.setInteger(UInt8(count), at: lengthAt)
            return
        }
        var width = 1
        while count >> (7 * width) > 0 { width += 1 }
        do { try buffer.copyBytes(at: start, to: lengthAt + width, length: count) } catch {
            preconditionFailure("the bytes were written a moment ago")
        }
        buffer.moveWriterIndex(to: lengthAt)
        raw(UInt64(count))
        buffer.moveWriterIndex(forwardBy: count)
    }

    private mutating func key(_ number: UInt32, _ type: FieldWireType) {
        raw(UInt64(number) << 3 | UInt64(type.rawValue))
    }

    private mutating func raw(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.writeInteger(UInt8(rest))
    }
}

/// Reads fields one after the other; unknown ones are skipped by the caller.
struct FieldReader {
    private var buffer: ByteBuffer

    init(_ buffer: ByteBuffer) { self.buffer = buffer }

    var isAtEnd: Bool { buffer.readableBytes == 0 }

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
        guard type == .bytes, let length = Int(exactly: try rawVarint()), length <= buffer.readableBytes else {
            throw .badHeader
        }
        let text = unsafe buffer.withUnsafeReadableBytes { bytes in
            unsafe String(validating: UnsafeRawBufferPointer(rebasing: bytes[..<length]), as: UTF8.self)
        }
        guard let text else { throw .badHeader }
        buffer.moveReaderIndex(forwardBy: length)
        return text
    }

    mutating func message(_ type: FieldWireType) throws(WireError) -> ByteBuffer {
        guard type == .bytes, let length = Int(exactly: try rawVarint()), let slice = buffer.readSlice(length: length)
        else { throw .badHeader }
        return slice
    }

    mutating func skip(_ type: FieldWireType) throws(WireError) {
        #if MUTANT_WIRE_UNKNOWN_FIELDS_REFUSED
            throw .badHeader
        #else
            switch type {
            case .varint: _ = try rawVarint()
            case .fixed64: guard buffer.readSlice(length: 8) != nil else { throw .badHeader }
            case .fixed32: guard buffer.readSlice(length: 4) != nil else { throw .badHeader }
            case .bytes: _ = try message(type)
            }
        #endif
    }

    private mutating func rawVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        // One look at the buffer for the whole number, not one a byte.
        let length = unsafe buffer.withUnsafeReadableBytes { bytes -> Int? in
            for index in 0..<min(bytes.count, Self.varintBytesMax) {
                let byte = unsafe bytes[index]
                guard index < Self.varintBytesMax - 1 || byte <= 1 else { return nil }
                value |= UInt64(byte & 0x7F) << (7 * UInt64(index))
                if byte & 0x80 == 0 { return index + 1 }
            }
            return nil
        }
        guard let length else { throw .badHeader }
        buffer.moveReaderIndex(forwardBy: length)
        return value
    }

    /// 64 bits in groups of seven.
    private static let varintBytesMax = 10
}

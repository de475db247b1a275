// SPDX-License-Identifier: Apache-2.0

package import NIOCore

// The hot headers are read and written by hand (D40): no intermediate message, no reflection, straight from and into
// the frame's bytes. The field numbers are those of Protos/headers.proto, and tests hold both against each other.

extension RequestHeader: FieldCoded {
    package init(decoding bytes: RawSpan) throws(WireError) {
        self.init()
        var reader = FieldReader(bytes)
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: traceparent = try reader.text(type)
            case 2: tracestate = try reader.text(type)
            case 3: requestID = try reader.text(type)
            case 4: principal = try Principal(try reader.message(type))
            case 5: idempotencyKey = try reader.text(type)
            case 6: contentType = try reader.text(type)
            case 7: tenant = try reader.text(type)
            case 8: http = try HTTPRequestHead(try reader.message(type))
            default: try reader.skip(type)
            }
        }
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeFields(atMost: byteCountMax) { writer in
            writer.text(1, traceparent)
            writer.text(2, tracestate)
            writer.text(3, requestID)
            if principal != Principal() { writer.message(4, principal.encode) }
            writer.text(5, idempotencyKey)
            writer.text(6, contentType)
            writer.text(7, tenant)
            if let http { writer.message(8, http.encode) }
        }
    }
}

extension Principal {
    init(_ fields: FieldReader) throws(WireError) {
        // The wire's default of a text is the empty one; "anon" is only what a new value starts with.
        self.init(role: "")
        var reader = fields
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: tokenStatus = TokenStatus(rawValue: UInt8(clamping: try reader.varint(type))) ?? .invalid
            case 2: tokenError = try reader.text(type)
            case 3: role = try reader.text(type)
            case 4: subject = try reader.text(type)
            case 5: sessionID = try reader.text(type)
            case 6: claims = try reader.text(type)
            case 7: token = try reader.text(type)
            case 8: clientAddress = try reader.text(type)
            default: try reader.skip(type)
            }
        }
    }

    func encode(_ writer: inout FieldWriter) {
        writer.varint(1, UInt64(tokenStatus.rawValue))
        writer.text(2, tokenError)
        writer.text(3, role)
        writer.text(4, subject)
        writer.text(5, sessionID)
        writer.text(6, claims)
        writer.text(7, token)
        writer.text(8, clientAddress)
    }
}

extension HTTPField {
    init(_ fields: FieldReader) throws(WireError) {
        self.init("", "")
        var reader = fields
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: name = try reader.text(type)
            case 2: value = try reader.text(type)
            default: try reader.skip(type)
            }
        }
    }

    func encode(_ writer: inout FieldWriter) {
        writer.text(1, name)
        writer.text(2, value)
    }
}

extension HTTPRequestHead {
    init(_ fields: FieldReader) throws(WireError) {
        self.init(method: "", path: "")
        var reader = fields
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: method = try reader.text(type)
            case 2: path = try reader.text(type)
            case 3: query = try reader.text(type)
            case 4: self.fields.append(try HTTPField(try reader.message(type)))
            default: try reader.skip(type)
            }
        }
    }

    func encode(_ writer: inout FieldWriter) {
        writer.text(1, method)
        writer.text(2, path)
        writer.text(3, query)
        for field in fields { writer.message(4, field.encode) }
    }
}

extension HTTPResponseHead {
    init(_ fields: FieldReader) throws(WireError) {
        self.init(status: 0)
        var reader = fields
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: status = UInt16(clamping: try reader.varint(type))
            case 2: self.fields.append(try HTTPField(try reader.message(type)))
            default: try reader.skip(type)
            }
        }
    }

    func encode(_ writer: inout FieldWriter) {
        writer.varint(1, UInt64(status))
        for field in fields { writer.message(2, field.encode) }
    }
}

extension ReplyHeader: FieldCoded {
    package init(decoding bytes: RawSpan) throws(WireError) {
        // The wire's default of `executed` is `no`.
        self.init(executed: .no)
        var reader = FieldReader(bytes)
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: code = ErrorCode(rawValue: UInt16(clamping: try reader.varint(type)))
            case 2: executed = Executed(rawValue: UInt8(clamping: try reader.varint(type))) ?? .unknown
            case 3: retryAfterMilliseconds = UInt32(clamping: try reader.varint(type))
            case 4: message = try reader.text(type)
            case 5: contentType = try reader.text(type)
            case 6: http = try HTTPResponseHead(try reader.message(type))
            default: try reader.skip(type)
            }
        }
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeFields(atMost: byteCountMax) { writer in
            writer.varint(1, UInt64(code.rawValue))
            writer.varint(2, UInt64(executed.rawValue))
            writer.varint(3, UInt64(retryAfterMilliseconds))
            writer.text(4, message)
            writer.text(5, contentType)
            if let http { writer.message(6, http.encode) }
        }
    }
}

extension EventHeader: FieldCoded {
    package init(decoding bytes: RawSpan) throws(WireError) {
        self.init()
        var reader = FieldReader(bytes)
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: id = try reader.text(type)
            case 2: source = try reader.text(type)
            case 3: self.type = try reader.text(type)
            case 4: subject = try reader.text(type)
            case 5: timeMicroseconds = Int64(bitPattern: try reader.varint(type))
            case 6: contentType = try reader.text(type)
            case 7: traceparent = try reader.text(type)
            case 8: stream = try reader.text(type)
            case 9: epoch = try reader.varint(type)
            case 10: sequence = try reader.varint(type)
            default: try reader.skip(type)
            }
        }
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeFields(atMost: byteCountMax) { writer in
            writer.text(1, id)
            writer.text(2, source)
            writer.text(3, type)
            writer.text(4, subject)
            writer.varint(5, UInt64(bitPattern: timeMicroseconds))
            writer.text(6, contentType)
            writer.text(7, traceparent)
            writer.text(8, stream)
            writer.varint(9, epoch)
            writer.varint(10, sequence)
        }
    }
}

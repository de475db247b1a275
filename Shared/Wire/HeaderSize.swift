// SPDX-License-Identifier: Apache-2.0

// Upper bounds of what a header takes on the wire, known before it is written: a frame counts its header in 16 bits, and
// what is longer must never be written. Additions only, since it is asked for every request and reply.

/// A key of one byte and a length, or number, of at most five.
private let overheadMax = 6

extension RequestHeader {
    /// Bytes that `encode` writes, or more.
    package var byteCountMax: Int {
        8 * overheadMax + traceparent.utf8.count + tracestate.utf8.count + requestID.utf8.count
            + idempotencyKey.utf8.count + contentType.utf8.count + tenant.utf8.count + principal.byteCountMax
            + (http?.byteCountMax ?? 0)
    }
}

extension ReplyHeader {
    /// Bytes that `encode` writes, or more.
    package var byteCountMax: Int {
        7 * overheadMax + message.utf8.count + contentType.utf8.count
            + (http.map { HTTPField.byteCountMax($0.fields) } ?? 0)
    }
}

extension EventHeader {
    /// Bytes that `encode` writes, or more.
    var byteCountMax: Int {
        10 * FieldWriter.fieldBytesMax + id.utf8.count + source.utf8.count + type.utf8.count + subject.utf8.count
            + contentType.utf8.count + traceparent.utf8.count + stream.utf8.count
    }
}

extension Principal {
    fileprivate var byteCountMax: Int {
        8 * overheadMax + tokenError.utf8.count + role.utf8.count + subject.utf8.count + sessionID.utf8.count
            + claims.utf8.count + token.utf8.count + clientAddress.utf8.count
    }
}

extension HTTPRequestHead {
    fileprivate var byteCountMax: Int {
        3 * overheadMax + method.utf8.count + path.utf8.count + query.utf8.count + HTTPField.byteCountMax(fields)
    }
}

extension HTTPField {
    fileprivate static func byteCountMax(_ fields: [HTTPField]) -> Int {
        var count = 0
        for field in fields { count += 3 * overheadMax + field.name.utf8.count + field.value.utf8.count }
        return count
    }
}

// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Payload of HELLO and READY: who speaks, what it can, and the credit that it gives. Field numbers are those of
/// Protos/control.proto.
package struct Introduction: FieldCoded, Sendable, Equatable {
    package var service: String
    package var instance: String
    /// Rises with every start of the instance.
    package var epoch: UInt64
    /// Oldest and newest format version that the side speaks.
    package var versionMin: UInt32
    package var versionMax: UInt32
    /// Capability bits; unknown ones are ignored.
    package var features: UInt64
    /// Requests and bytes in flight that the side takes on this link.
    package var requestsMax: UInt32
    package var bytesMax: UInt64
    /// Largest body that the side takes.
    package var payloadBytesMax: UInt64

    package init(
        service: String = "", instance: String = "", epoch: UInt64 = 0, versionMin: UInt32 = 1, versionMax: UInt32 = 1,
        features: UInt64 = 0, requestsMax: UInt32 = 0, bytesMax: UInt64 = 0, payloadBytesMax: UInt64 = 0
    ) {
        self.service = service
        self.instance = instance
        self.epoch = epoch
        self.versionMin = versionMin
        self.versionMax = versionMax
        self.features = features
        self.requestsMax = requestsMax
        self.bytesMax = bytesMax
        self.payloadBytesMax = payloadBytesMax
    }

    package init(decoding bytes: RawSpan) throws(WireError) {
        self.init(versionMin: 0, versionMax: 0)
        var reader = FieldReader(bytes)
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: service = try reader.text(type)
            case 2: instance = try reader.text(type)
            case 3: epoch = try reader.varint(type)
            case 4: versionMin = UInt32(clamping: try reader.varint(type))
            case 5: versionMax = UInt32(clamping: try reader.varint(type))
            case 6: features = try reader.varint(type)
            case 7: requestsMax = UInt32(clamping: try reader.varint(type))
            case 8: bytesMax = try reader.varint(type)
            case 9: payloadBytesMax = try reader.varint(type)
            default: try reader.skip(type)
            }
        }
    }

    /// The payload's bytes.
    package var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeFields(atMost: 9 * FieldWriter.fieldBytesMax + service.utf8.count + instance.utf8.count) { writer in
            writer.text(1, service)
            writer.text(2, instance)
            writer.varint(3, epoch)
            writer.varint(4, UInt64(versionMin))
            writer.varint(5, UInt64(versionMax))
            writer.varint(6, features)
            writer.varint(7, UInt64(requestsMax))
            writer.varint(8, bytesMax)
            writer.varint(9, payloadBytesMax)
        }
        return buffer
    }
}

/// Payload of PONG.
package struct Pong: FieldCoded, Sendable, Equatable {
    package var isDraining: Bool
    package var inFlight: UInt32

    package init(isDraining: Bool, inFlight: UInt32) {
        self.isDraining = isDraining
        self.inFlight = inFlight
    }

    package init(decoding bytes: RawSpan) throws(WireError) {
        self.init(isDraining: false, inFlight: 0)
        var reader = FieldReader(bytes)
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 1: isDraining = try reader.varint(type) != 0
            case 2: inFlight = UInt32(clamping: try reader.varint(type))
            default: try reader.skip(type)
            }
        }
    }

    /// The payload's bytes.
    package var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeFields(atMost: 2 * FieldWriter.fieldBytesMax) { writer in
            writer.varint(1, isDraining ? 1 : 0)
            writer.varint(2, UInt64(inFlight))
        }
        return buffer
    }
}

/// Payload of CREDIT: bytes of the request's body, or of its reply's, that the receiver took.
package struct Credit: FieldCoded, Sendable, Equatable {
    package var bytes: UInt64

    package init(bytes: UInt64) { self.bytes = bytes }

    package init(decoding bytes: RawSpan) throws(WireError) {
        self.init(bytes: 0)
        var reader = FieldReader(bytes)
        while !reader.isAtEnd {
            let (number, type) = try reader.key()
            switch number {
            case 2: self.bytes = try reader.varint(type)
            default: try reader.skip(type)
            }
        }
    }

    /// The payload's bytes.
    package var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeFields(atMost: FieldWriter.fieldBytesMax) { writer in
            writer.varint(2, bytes)
        }
        return buffer
    }
}

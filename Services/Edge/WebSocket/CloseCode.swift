// SPDX-License-Identifier: Apache-2.0

/// Close codes (RFC 6455, section 7.4; RT-14). 1000 is never ours: clients do not come back after it.
enum CloseCode {
    static let goingAway: UInt16 = 1_001
    static let protocolError: UInt16 = 1_002
    /// Never on the wire: the client closed without a code.
    static let noStatus: UInt16 = 1_005
    /// Never on the wire: the connection ended without a close frame.
    static let abnormal: UInt16 = 1_006
    static let badText: UInt16 = 1_007
    static let tooBig: UInt16 = 1_009
    static let restart: UInt16 = 1_012
    static let overloaded: UInt16 = 1_013

    /// Whether a code may stand in a close frame.
    static func isValid(_ code: UInt16) -> Bool {
        switch code {
        case 1_000...1_003, 1_007...1_014, 3_000...4_999: true
        default: false
        }
    }
}

/// Why the edge ends a client's WebSocket.
struct SocketFault: Error, Equatable {
    let code: UInt16
    /// For people; a close frame holds at most 123 bytes of it.
    let reason: String

    static let unmasked = SocketFault(code: CloseCode.protocolError, reason: "frame without mask")
    static let reservedBits = SocketFault(code: CloseCode.protocolError, reason: "reserved bits")
    static let opcode = SocketFault(code: CloseCode.protocolError, reason: "unknown opcode")
    static let controlFrame = SocketFault(code: CloseCode.protocolError, reason: "bad control frame")
    static let fragments = SocketFault(code: CloseCode.protocolError, reason: "fragments out of order")
    static let closeFrame = SocketFault(code: CloseCode.protocolError, reason: "bad close frame")
    static let badText = SocketFault(code: CloseCode.badText, reason: "text is no UTF-8")
    static let tooBig = SocketFault(code: CloseCode.tooBig, reason: "message too big")
    static let noPong = SocketFault(code: CloseCode.goingAway, reason: "no sign of life")
    static let goingAway = SocketFault(code: CloseCode.goingAway, reason: "going away")
    static let restart = SocketFault(code: CloseCode.restart, reason: "restart")
    static let tooSlow = SocketFault(code: CloseCode.overloaded, reason: "reads too slowly")
    static let noRoom = SocketFault(code: CloseCode.overloaded, reason: "too much on its way")
}

// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ

/// The ZAP handler (RFC 27) of the process: decides which CURVE keys may connect to which node.
///
/// It must run before any CURVE socket binds: libzmq 4.3.4 admits every key when there is no handler. Each node has a
/// ZAP domain of its own, and every listener sets option 93 so that a missing handler refuses.
final class Authenticator {
    /// Decides about a public key in Z85; the answer becomes the connection's user id.
    typealias Decision = (String) -> Bool

    static let address = "inproc://zeromq.zap.01"
    private static let frameCount = 7

    private let message = ZeroMQMessage()
    private var domains: [String: Decision] = [:]
    private var socket: ZeroMQSocket?

    init(_ loop: BusLoop) throws(ZeroMQError) {
        let socket = try loop.makeSocket(.reply)
        try socket.bind(Self.address)
        self.socket = socket
        _ = loop.add(socket) { [unowned self] budget in self.answer(budget) }
    }

    func setDomain(_ domain: String, _ decision: Decision?) { domains[domain] = decision }

    private func answer(_ budget: Int) -> Bool {
        guard let socket else { return false }
        for _ in 0..<budget {
            guard (try? socket.receive(into: message)) == true else { return false }
            var frames: [[UInt8]] = [message.bytes]
            while message.hasMore, (try? socket.receive(into: message)) == true { frames.append(message.bytes) }
            reply(to: frames, on: socket)
        }
        return true
    }

    /// version, request id, domain, address, identity, mechanism, credentials → version, request id, status, text,
    /// user id, metadata.
    private func reply(to frames: [[UInt8]], on socket: ZeroMQSocket) {
        let key = frames.count == Self.frameCount ? Self.key(of: frames) : nil
        #if MUTANT_BUS_KEY_CHECK_OFF
            let isAllowed = key != nil
        #else
            let decision = frames.count > 2 ? domains[String(decoding: frames[2], as: UTF8.self)] : nil
            let isAllowed = key.flatMap { decision?($0) } ?? false
        #endif
        let status = isAllowed ? "200" : "400"
        let answer = [
            Array("1.0".utf8), frames.count > 1 ? frames[1] : [], Array(status.utf8),
            Array((isAllowed ? "OK" : "refused").utf8), Array((isAllowed ? key ?? "" : "").utf8), [],
        ]
        for (index, part) in answer.enumerated() {
            let outcome = unsafe part.withUnsafeBytes { bytes in
                unsafe try? socket.send(bytes, more: index + 1 < answer.count)
            }
            // Without an answer libzmq gives the handshake up after HANDSHAKE_IVL.
            guard outcome == .sent else { return }
        }
    }

    private static func key(of frames: [[UInt8]]) -> String? {
        guard frames[0] == Array("1.0".utf8), frames[5] == Array("CURVE".utf8), frames[6].count == 32 else {
            return nil
        }
        var text = [CChar](repeating: 0, count: 41)
        guard unsafe zmq_z85_encode(&text, frames[6], 32) != nil else { return nil }
        return String(decoding: text.prefix(40).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension ZeroMQMessage {
    /// A copy of the content; for small control messages.
    var bytes: [UInt8] { withBytes { span in unsafe span.withUnsafeBytes { unsafe Array($0) } } }
}

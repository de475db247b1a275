// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Asks an admin port whether its service is ready. Blocks for `timeout` at most per step.
enum ReadinessProbe {
    enum Answer: Sendable, Equatable {
        case ready
        /// With the service's reason, a few words.
        case notReady(String)
        case silent

        var text: String {
            switch self {
            case .ready: "ready"
            case .notReady(let reason): "not ready: \(reason)"
            case .silent: "no answer"
            }
        }
    }

    /// To connect, to send, and between two pieces of the answer.
    private static let timeout = timeval(tv_sec: 0, tv_usec: 500_000)
    private static let answerBytesMax = 4_096

    /// `address` is as `run/ports.json` has it: `http://127.0.0.1:9100`, `http://[::1]:9100`.
    static func ask(_ address: String) -> Answer {
        guard let socket = connect(to: address) else { return .silent }
        defer { close(socket) }
        let request = Array("GET /readyz HTTP/1.1\r\nHost: martlet\r\nConnection: close\r\n\r\n".utf8)
        guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return .silent
        }
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1_024)
        while answer.count < answerBytesMax {
            let count = recv(socket, &piece, piece.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            answer += piece[..<count]
        }
        return parse(String(decoding: answer, as: UTF8.self))
    }

    /// The answer in the text of an HTTP response.
    static func parse(_ response: String) -> Answer {
        let words = response.prefix { $0 != "\r\n" }.split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return .silent }
        if status == 200 { return .ready }
        let end = response.range(ofLineEnds: 2)
        let reason = end.map { response[$0...].prefix { !$0.isNewline } } ?? ""
        return .notReady(reason.isEmpty ? "status \(status)" : String(reason))
    }

    private static func connect(to address: String) -> Int32? {
        guard address.hasPrefix("http://"), let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[address.index(after: colon)...])
        else { return nil }
        let host = address[..<colon].dropFirst(7).filter { $0 != "[" && $0 != "]" }
        var four = sockaddr_in()
        if inet_pton(AF_INET, host, &four.sin_addr) == 1 {
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            return connect(AF_INET, four)
        }
        var six = sockaddr_in6()
        guard inet_pton(AF_INET6, host, &six.sin6_addr) == 1 else { return nil }
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        return connect(AF_INET6, six)
    }

    private static func connect<Address>(_ family: Int32, _ address: Address) -> Int32? {
        let socket = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return nil }
        var (timeout, address) = (timeout, address)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, size)
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, size)
        let result = withUnsafeBytes(of: &address) { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) {
                Glibc.connect(socket, $0.baseAddress, socklen_t(bytes.count))
            }
        }
        if result == 0 { return socket }
        close(socket)
        return nil
    }
}

extension String {
    /// The place behind the first `count` line ends in a row.
    fileprivate func range(ofLineEnds count: Int) -> Index? {
        var run = 0
        for index in indices {
            run = self[index].isNewline ? run + 1 : 0
            if run == count { return self.index(after: index) }
        }
        return nil
    }
}

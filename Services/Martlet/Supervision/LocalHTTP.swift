// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// One HTTP exchange with a service of this machine, as a command does it: blocking, a connection for each.
struct LocalHTTP {
    /// As `run/ports.json` has it: `http://127.0.0.1:9100`, `http://[::1]:9100`.
    let address: String
    /// To connect, to send, and between two pieces of the answer.
    let timeout: Duration
    let answerBytesMax: Int

    /// The whole answer, head and body; nil when nobody listens or none came.
    func exchange(_ method: String, _ target: String, fields: [(name: String, value: String)] = []) -> [UInt8]? {
        guard let socket = connect() else { return nil }
        defer { close(socket) }
        let lines = [("Host", "martlet"), ("Connection", "close"), ("Content-Length", "0")] + fields
        let head =
            "\(method) \(target) HTTP/1.1\r\n" + lines.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n"
        let request = Array(head.utf8)
        guard send(socket, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return nil }
        var answer: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while answer.count < answerBytesMax {
            let count = recv(socket, &piece, piece.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            answer += piece[..<count]
        }
        return answer.isEmpty ? nil : answer
    }

    /// Status and body of an answer that has a length; nil for what is none.
    static func parse(_ answer: [UInt8]) -> (status: Int, body: ArraySlice<UInt8>)? {
        let end = Array("\r\n\r\n".utf8)
        guard answer.count > end.count,
            let place = (0...answer.count - end.count).first(where: { answer[$0..<$0 + end.count].elementsEqual(end) })
        else { return nil }
        let words = String(decoding: answer[..<place], as: UTF8.self).prefix { $0 != "\r\n" }.split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        return (status, answer[(place + end.count)...])
    }

    private func connect() -> Int32? {
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

    private func connect<Address>(_ family: Int32, _ address: Address) -> Int32? {
        let socket = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return nil }
        let (seconds, attoseconds) = timeout.components
        var limit = timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
        var address = address
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
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

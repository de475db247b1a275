// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A plain TCP connection that sends exactly the bytes it is told to. Reads give up after ten seconds.
final class RawClient {
    private let descriptor: Int32
    private var pending: [UInt8] = []

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        struct ConnectFailure: Error { let number: Int32 }
        guard result == 0 else { throw ConnectFailure(number: errno) }
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Says that nothing more comes; answers are still read.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// As many bytes as the connection takes at once; nil when it takes none.
    func sendWithoutWaiting(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        let count = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        return count > 0 ? count : nil
    }

    /// One answer: its head, and as many bytes of body as its Content-Length says. Nil at the end of the connection.
    func receive(withoutBody: Bool = false) -> (head: String, body: String)? {
        var text = String(decoding: pending, as: UTF8.self)
        while !text.contains("\r\n\r\n") {
            guard fill() else { return nil }
            text = String(decoding: pending, as: UTF8.self)
        }
        let head = String(text[..<text.range(of: "\r\n\r\n").lowerBound])
        let length = head.split(separator: "\r\n").lazy
            .compactMap { line in line.lowercased().hasPrefix("content-length: ") ? Int(line.dropFirst(16)) : nil }
            .first ?? 0
        pending.removeFirst(head.utf8.count + 4)
        let wanted = withoutBody ? 0 : length
        while pending.count < wanted { guard fill() else { break } }
        let body = String(decoding: pending.prefix(wanted), as: UTF8.self)
        pending.removeFirst(min(wanted, pending.count))
        return (head, body)
    }

    /// Whether the other side ends the connection, with nothing more sent.
    func isEnded() -> Bool { pending.isEmpty && !fill() }

    private func fill() -> Bool {
        var space = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &space, space.count, 0)
        guard count > 0 else { return false }
        pending.append(contentsOf: space[..<count])
        return true
    }
}

extension String {
    /// The first place of `text`; only asked for when it is there.
    fileprivate func range(of text: String) -> Range<String.Index> {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return endIndex..<endIndex
    }
}

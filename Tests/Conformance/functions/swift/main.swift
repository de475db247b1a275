// SPDX-License-Identifier: Apache-2.0
// A function in Swift without any package: HTTP/1.1 on the socket that the environment names, one connection at a time.

import Glibc

guard let place = getenv("MARTLET_FUNCTION_SOCKET") else { exit(64) }
let path = String(cString: place)
let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
var address = sockaddr_un()
address.sun_family = sa_family_t(AF_UNIX)
withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
let isBound = withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
}
guard isBound == 0, listen(listener, 128) == 0 else { exit(71) }

/// Reads to the end of the head; a function that wants the body reads `content-length` bytes more.
func readHead(_ connection: Int32) -> String {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4_096)
    while true {
        let count = read(connection, &piece, piece.count)
        guard count > 0 else { return "" }
        bytes += piece[..<count]
        let text = String(decoding: bytes, as: UTF8.self)
        if text.contains("\r\n\r\n") { return text }
    }
}

while true {
    let connection = accept(listener, nil, nil)
    guard connection >= 0 else { continue }
    let words = readHead(connection).split(separator: " ")
    if words.count > 1 {
        let body = "{\"swift\":true,\"path\":\"\(words[1])\"}"
        let answer = Array(
            """
            HTTP/1.1 200 OK\r
            content-type: application/json\r
            content-length: \(body.utf8.count)\r
            connection: close\r
            \r
            \(body)
            """.utf8)
        _ = write(connection, answer, answer.count)
    }
    close(connection)
}

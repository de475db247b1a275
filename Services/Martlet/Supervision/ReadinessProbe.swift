// SPDX-License-Identifier: Apache-2.0

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
    private static let timeout = Duration.milliseconds(500)
    private static let answerBytesMax = 4_096

    /// `address` is as `run/ports.json` has it: `http://127.0.0.1:9100`, `http://[::1]:9100`.
    static func ask(_ address: String) -> Answer {
        let answer = LocalHTTP(address: address, timeout: timeout, answerBytesMax: answerBytesMax).exchange(
            "GET", "/readyz")
        return answer.map { parse(String(decoding: $0, as: UTF8.self)) } ?? .silent
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

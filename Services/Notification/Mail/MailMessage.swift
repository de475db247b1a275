// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens

/// A mail ready to go: the same bytes at each attempt.
struct MailMessage: Sendable, Equatable {
    struct Sender: Sendable, Equatable {
        let address: MailAddress
        /// Empty for none.
        let name: String
    }

    /// The delivery.
    let id: String
    /// Without its brackets.
    let messageID: String
    let from: Sender
    let to: MailAddress
    let content: MailContent
    /// Seconds since 1970 UTC.
    let date: Int64
    /// The request that asked for it, by which support finds its log lines; empty for none. Visible ASCII.
    var requestID = ""

    /// Head and body (RFC 5322, RFC 2045) with CRLF line ends, ASCII but for what an address holds.
    var bytes: [UInt8] {
        var lines = [
            "Date: \(MailDate.text(date))",
            "From: \(from.name.isEmpty ? "" : Self.phrase(from.name) + " ")<\(from.address.text)>",
            "To: <\(to.text)>",
            "Subject: \(Self.unstructured(content.subject))",
            "Message-ID: <\(messageID)>",
            // Answering machines do not answer it (RFC 3834).
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
        ]
        if !requestID.isEmpty { lines.append("X-Request-Id: \(requestID)") }
        switch (content.text, content.html) {
        case (let text?, let html?):
            // The id is random, so it stands in no body.
            let boundary = "martlet-\(id)"
            lines += ["Content-Type: multipart/alternative;", " boundary=\"\(boundary)\"", ""]
            lines += ["--\(boundary)"] + Self.part(text, type: "plain")
            lines += ["--\(boundary)"] + Self.part(html, type: "html")
            lines += ["--\(boundary)--"]
        case (let text?, nil): lines += Self.part(text, type: "plain")
        case (nil, let html): lines += Self.part(html ?? "", type: "html")
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
    }

    private static func part(_ body: String, type: String) -> [String] {
        ["Content-Type: text/\(type); charset=utf-8", "Content-Transfer-Encoding: quoted-printable", ""]
            + QuotedPrintable.lines(body)
    }

    /// A header's free text; encoded words (RFC 2047) for anything but short ASCII.
    static func unstructured(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20..<0x7F).contains($0) } && text.utf8.count <= 60
        return isPlain && !text.contains("=?") ? text : encodedWords(text)
    }

    /// A display name.
    private static func phrase(_ text: String) -> String {
        let isAtoms = text.utf8.allSatisfy { byte in
            byte == UInt8(ascii: " ") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        return isAtoms && text.utf8.count <= 60 ? text : encodedWords(text)
    }

    /// Each word holds whole characters and at most 75 bytes, on a line of its own.
    private static func encodedWords(_ text: String) -> String {
        var words: [String] = []
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            let next = Array(String(scalar).utf8)
            if bytes.count + next.count > 42 {
                words.append("=?utf-8?B?\(Base64.encode(bytes))?=")
                bytes = []
            }
            bytes += next
        }
        words.append("=?utf-8?B?\(Base64.encode(bytes))?=")
        return words.joined(separator: "\r\n ")
    }
}

/// Quoted-printable (RFC 2045, 6.7): readable where the text is ASCII, lines of at most 76 characters.
enum QuotedPrintable {
    private static let lineMax = 76
    private static let digits = Array("0123456789ABCDEF")

    static func lines(_ text: String) -> [String] {
        // A CRLF is one Character, and any newline ends a line.
        var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        // The last line gets its end like the others.
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.flatMap { line(Array($0.utf8)) }
    }

    private static func line(_ bytes: [UInt8]) -> [String] {
        var lines: [String] = []
        var line = ""
        for (position, byte) in bytes.enumerated() {
            let isLast = position == bytes.count - 1
            // A space or tab must not end a line.
            let isSafe =
                (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "=")
                || (byte == 0x20 || byte == 0x09) && !isLast
            let token =
                isSafe
                ? String(UnicodeScalar(byte)) : "=\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            // Room for the `=` of a soft line break.
            if line.utf8.count + token.utf8.count > lineMax - 1 {
                lines.append(line + "=")
                line = ""
            }
            line += token
        }
        lines.append(line)
        return lines
    }
}

/// `Sun, 29 Nov 2026 09:15:00 +0000` (RFC 5322, 3.3).
enum MailDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    static func text(_ seconds: Int64) -> String {
        let (day, time) = seconds.quotientAndRemainder(dividingBy: 86_400)
        // Howard Hinnant's days-to-civil, for days since 1970 that are not negative.
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(days[Int(day % 7)]), \(two(dayOfMonth)) \(months[Int(month - 1)]) \(year) "
            + "\(two(time / 3_600)):\(two(time / 60 % 60)):\(two(time % 60)) +0000"
    }
}

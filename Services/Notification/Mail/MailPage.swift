// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// The development page: which mails were caught, and what one of them says.
struct MailPage: Sendable {
    /// Of the request, which may carry the key: links repeat it.
    let query: String

    func list(_ mails: [JSONValue]) -> String {
        let rows = mails.map { mail in
            let date = mail["date"]?.int64Value.map(MailDate.text) ?? ""
            return "<tr><td>\(Self.escaped(date))</td><td>\(text(mail, "to"))</td>"
                + "<td><a href=\"mails/\(text(mail, "id"))?\(Self.escaped(query))\">\(text(mail, "subject"))</a></td></tr>"
        }
        let table = rows.isEmpty ? "<p>None yet.</p>" : "<table>\(rows.joined(separator: "\n"))</table>"
        return page("Caught mails", table)
    }

    func mail(_ mail: JSONValue) -> String {
        let words = mail["text"]?.stringValue ?? mail["html"]?.stringValue ?? ""
        return page(
            mail["subject"]?.stringValue ?? "",
            "<p>To \(text(mail, "to"))</p>\n<pre>\(Self.linked(words))</pre>")
    }

    private func page(_ title: String, _ body: String) -> String {
        """
        <!doctype html>
        <html><head><title>\(Self.escaped(title))</title>
        <style>body { font-family: sans-serif; margin: 2em } td { padding: 0.2em 1em 0.2em 0 }
        pre { white-space: pre-wrap }</style></head>
        <body><h1>\(Self.escaped(title))</h1>
        \(body)
        </body></html>

        """
    }

    private func text(_ mail: JSONValue, _ name: String) -> String { Self.escaped(mail[name]?.stringValue ?? "") }

    /// Words that are addresses become links.
    private static func linked(_ text: String) -> String {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            line.split(separator: " ", omittingEmptySubsequences: false).map { word in
                let safe = escaped(String(word))
                let isLink = word.hasPrefix("http://") || word.hasPrefix("https://")
                return isLink ? "<a href=\"\(safe)\">\(safe)</a>" : safe
            }.joined(separator: " ")
        }.joined(separator: "\n")
    }

    private static func escaped(_ text: String) -> String {
        MailTemplate.escaped(text)
    }
}

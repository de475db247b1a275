// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// What a mail says: subject and one body or two of the same meaning.
struct MailContent: Sendable, Equatable {
    let subject: String
    let html: String?
    let text: String?

    /// - Throws: what is missing or too long. Control characters of the subject become spaces, so that no header can be
    ///   smuggled in.
    init(subject: String, html: String?, text: String?) throws(MailRefusal) {
        let clean = String(
            String.UnicodeScalarView(
                subject.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
        guard !clean.allSatisfy({ $0 == " " }) else { throw .badMail("the subject is empty") }
        guard clean.utf8.count <= MailLimits.subjectBytesMax else {
            throw .badMail("the subject has more than \(MailLimits.subjectBytesMax) bytes")
        }
        guard html != nil || text != nil else { throw .badMail("there is neither html nor text") }
        for body in [html, text].compactMap(\.self) where body.utf8.count > MailLimits.bodyBytesMax {
            throw .badMail("a body has more than \(MailLimits.bodyBytesMax) bytes")
        }
        self.subject = clean
        self.html = html
        self.text = text
    }

    /// For the store, which seals it.
    var document: JSONValue {
        var document: JSONObject = ["subject": .string(subject)]
        document["html"] = html.map { .string($0) }
        document["text"] = text.map { .string($0) }
        return .object(document)
    }

    /// Reads what `document` wrote.
    init?(_ document: JSONValue) {
        guard let subject = document["subject"]?.stringValue else { return nil }
        self.subject = subject
        html = document["html"]?.stringValue
        text = document["text"]?.stringValue
    }
}

/// Why a mail is not taken.
enum MailRefusal: Error, Sendable, Equatable {
    /// Something about the mail is wrong; the text says what.
    case badMail(String)
    /// No template has this name.
    case unknownTemplate(String)
    /// The recipient is not one address.
    case badRecipient
    /// The same key came with another mail.
    case keyReused
    /// Too many mails wait.
    case full
    /// Production without an SMTP server: nobody would ever deliver it.
    case notConfigured
    /// The database cannot answer now.
    case storage(String)
}

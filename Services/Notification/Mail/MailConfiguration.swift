// SPDX-License-Identifier: Apache-2.0

internal import MartletSMTP
internal import MartletServiceKit

/// What the settings say about mails.
struct MailConfiguration: Sendable {
    /// Nil without a server: development catches mails then, production takes none.
    let server: SMTPServer?
    let connections: Int
    let timeout: Duration
    let sender: MailMessage.Sender
    /// How long a delivery that has ended is remembered.
    let retention: Duration

    /// - Throws: `StartFailure` that names the key.
    init(_ settings: Settings) throws(StartFailure) {
        timeout = settings[\.mail.timeout]
        connections = settings[\.mail.connections]
        retention = settings[\.mail.retention]
        let from = settings[\.mail.from] ?? "noreply@localhost"
        guard let address = MailAddress(from) else {
            throw StartFailure(.configuration, "martlet.notification.smtp_from: \(from) is no mail address.")
        }
        sender = MailMessage.Sender(address: address, name: settings[\.mail.fromName] ?? "")
        guard let host = settings[\.mail.host] else {
            server = nil
            return
        }
        let security: SMTPServer.Security =
            switch settings[\.mail.security] {
            case .none: .none
            case .starttls: .startTLS
            case .tls: .implicitTLS
            }
        server = SMTPServer(
            host: host, port: settings[\.mail.port], security: security, user: settings[\.mail.user],
            password: try Self.password(settings), certificates: settings[\.mail.certificates], timeout: timeout)
    }

    private static func password(_ settings: Settings) throws(StartFailure) -> String? {
        guard let file = settings[\.mail.passwordFile] else { return settings[\.mail.password] }
        let text: String?
        do { text = try PosixFile.read(file, bytesMax: 4_096) } catch {
            throw StartFailure(.configuration, "martlet.notification.smtp_password_file: \(error).")
        }
        guard let text else {
            throw StartFailure(.configuration, "martlet.notification.smtp_password_file: there is no file \(file).")
        }
        return text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    }
}

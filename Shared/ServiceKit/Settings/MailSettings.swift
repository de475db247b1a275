// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Mails: the server that takes them, and what they say. The auth contract's names are aliases (D39).
package struct MailSettings: Sendable {
    package let engine = Setting<String>(
        "martlet.notification.engine", "sqlite", range: "`sqlite` or `postgres://…`", isSecret: true,
        readers: [.notification], "Database of the notification service itself.", fault: DataSettings.engineFault)
    package let host = Setting<String?>(
        "martlet.notification.smtp_host", nil, aliases: ["AUTH_SMTP_HOST"], readers: [.notification],
        "The SMTP server. Without one, development keeps mails as files in the data directory's `mail`, and production takes none."
    )
    package let port = Setting<Int>(
        "martlet.notification.smtp_port", 587, in: 1...65_535, aliases: ["AUTH_SMTP_PORT"], readers: [.notification],
        "Its port.")
    package let security = Setting<SMTPSecurity>(
        "martlet.notification.smtp_security", .starttls, readers: [.notification],
        "`starttls` insists on TLS after the greeting, `tls` begins with it (port 465), `none` is for a server on this machine."
    )
    package let user = Setting<String?>(
        "martlet.notification.smtp_user", nil, aliases: ["AUTH_SMTP_USER"], readers: [.notification],
        "Who signs in there; nobody without.")
    package let password = Setting<String?>(
        "martlet.notification.smtp_password", nil, isSecret: true, aliases: ["AUTH_SMTP_PASS"],
        readers: [.notification], "The password of `smtp_user`.")
    package let passwordFile = Setting<String?>(
        "martlet.notification.smtp_password_file", nil, readers: [.notification],
        "A file whose first line is the password; goes before `smtp_password`.")
    package let certificates = Setting<String?>(
        "martlet.notification.smtp_ca_file", nil, readers: [.notification],
        "Certificates that are trusted instead of the system's, in PEM.")
    package let from = Setting<String?>(
        "martlet.notification.smtp_from", nil, aliases: ["AUTH_SMTP_FROM"], readers: [.notification],
        "Address that mails come from. Required with `smtp_host`.")
    package let fromName = Setting<String?>(
        "martlet.notification.smtp_from_name", nil, aliases: ["AUTH_SMTP_FROM_NAME"], readers: [.notification],
        "Name beside that address.")
    package let timeout = Setting<Duration>(
        "martlet.notification.smtp_timeout", .seconds(60), in: .seconds(1)...(.seconds(600)),
        readers: [.notification], "How long the delivery of one mail may take.")
    package let connections = Setting<Int>(
        "martlet.notification.smtp_connections", 2, in: 1...32, readers: [.notification],
        "Deliveries at once, each with a connection and a thread.")
    package let retention = Setting<Duration>(
        "martlet.notification.mail_retention", .seconds(7 * 86_400), in: .seconds(86_400)...(.seconds(90 * 86_400)),
        readers: [.notification],
        "How long a delivery that has ended is remembered, without its content; a key is free again afterwards.")

    package let confirmationSubject = Setting<String?>(
        "auth.email.template.confirmation.subject", nil, readers: [.notification],
        "Subject of the mail that confirms an address.")
    package let confirmationPath = Setting<String?>(
        "auth.email.template.confirmation.content_path", nil, readers: [.notification], "Its HTML, a file.")
    package let magicLinkSubject = Setting<String?>(
        "auth.email.template.magic_link.subject", nil, readers: [.notification],
        "Subject of the mail that signs in.")
    package let magicLinkPath = Setting<String?>(
        "auth.email.template.magic_link.content_path", nil, readers: [.notification], "Its HTML, a file.")
    package let recoverySubject = Setting<String?>(
        "auth.email.template.recovery.subject", nil, readers: [.notification],
        "Subject of the mail that resets a password.")
    package let recoveryPath = Setting<String?>(
        "auth.email.template.recovery.content_path", nil, readers: [.notification], "Its HTML, a file.")
}

/// How the connection to the SMTP server is kept from others' eyes.
package enum SMTPSecurity: String, SettingWord { case starttls, tls, none }

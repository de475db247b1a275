// SPDX-License-Identifier: Apache-2.0

/// The server that takes our mails.
package struct SMTPServer: Sendable, Equatable {
    package enum Security: Sendable, Equatable {
        /// Plain text; for a server on this machine.
        case none
        /// Begins in plain text and must change to TLS before anything is said (RFC 3207).
        case startTLS
        /// TLS from the first byte (RFC 8314).
        case implicitTLS
    }

    package var host: String
    package var port: Int
    package var security: Security
    /// Without one nobody signs in.
    package var user: String?
    package var password: String?
    /// Certificates that are trusted, in PEM; the system's without.
    package var certificates: String?
    /// How long one mail may take, from the connection to the server's last word.
    package var timeout: Duration

    package init(
        host: String, port: Int, security: Security, user: String? = nil, password: String? = nil,
        certificates: String? = nil, timeout: Duration = .seconds(60)
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.user = user
        self.password = password
        self.certificates = certificates
        self.timeout = timeout
    }

    /// As libcurl wants it; an IPv6 address stands in brackets.
    var url: String {
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        return "\(security == .implicitTLS ? "smtps" : "smtp")://\(name):\(port)/"
    }
}

/// How the delivery of one mail ended.
package enum SMTPOutcome: Sendable, Equatable {
    /// The server took it and is responsible for it now.
    case accepted
    /// The server will never take this mail (5xx about it).
    case refused(String)
    /// It was not taken, and another attempt may do better: no connection, 4xx, a sign-in or a TLS handshake that failed.
    case failed(String)
    /// The whole mail was handed over, and the server's answer to it never came: it may have been taken.
    case unknown(String)
}

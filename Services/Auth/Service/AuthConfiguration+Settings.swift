// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletServiceKit
internal import MartletWire

extension AuthConfiguration {
    /// What the settings say. Production names its external URL; development is where the edge listens.
    init(_ settings: Settings) {
        let url = settings[\.auth.externalURL] ?? "http://127.0.0.1:\(settings[\.edge.port])/auth/v1"
        let issuer = url.hasSuffix("/") ? String(url.dropLast()) : url
        let site = settings[\.auth.siteURL] ?? "http://127.0.0.1:\(settings[\.edge.port])"
        self.init(
            issuer: issuer, accessTokenLife: .seconds(settings[\.auth.jwtExpirySeconds]),
            refreshTokensRotate: settings[\.auth.refreshTokensRotate],
            refreshReuseInterval: .seconds(settings[\.auth.refreshReuseIntervalSeconds]),
            allowsSignUp: settings[\.auth.signUpIsEnabled], allowsEmail: settings[\.auth.emailSignUpIsEnabled],
            passwords: PasswordPolicy(
                lengthMin: settings[\.auth.passwordLengthMin], bytesMax: settings[\.auth.passwordBytesMax]),
            mail: MailPolicy(
                needsConfirmation: settings[\.auth.emailNeedsConfirmation], gap: settings[\.auth.emailGap],
                codeLength: settings[\.auth.emailCodeLength],
                linkLife: .seconds(settings[\.auth.emailLinkLifeSeconds]),
                codeLife: .seconds(settings[\.auth.emailCodeLifeSeconds]), perHour: settings[\.auth.emailsPerHour]),
            redirects: RedirectPolicy(siteURL: site, allowed: settings[\.auth.additionalRedirectURLs]),
            version: MartletVersion.current)
    }
}

extension Argon2id {
    /// The parameters that the settings name.
    init(_ settings: Settings) {
        self.init(
            memoryKibibytes: UInt32(settings[\.auth.hashMemoryKibibytes]),
            iterations: UInt32(settings[\.auth.hashIterations]), lanes: UInt32(settings[\.auth.hashLanes]))
    }
}

extension DatabaseConfiguration {
    /// Auth's own database: a file of the data directory, or a server.
    init(auth settings: Settings, _ directory: DataDirectory) {
        let engine = settings[\.auth.engine]
        self.init(location: engine == "sqlite" ? .sqlite(path: directory.database(of: .auth)) : .postgres(url: engine))
    }
}

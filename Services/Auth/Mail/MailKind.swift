// SPDX-License-Identifier: Apache-2.0

/// What a code or link may be used for. One outstanding of each for a user.
enum TokenPurpose: String, Sendable {
    case confirmation
    case recovery
}

/// The mails that auth asks for; the names are those of notification's templates.
enum MailKind: String, Sendable {
    case confirmation
    case magicLink = "magic_link"
    case recovery

    var purpose: TokenPurpose { self == .confirmation ? .confirmation : .recovery }

    /// `type` of the link.
    var linkType: String {
        switch self {
        case .confirmation: "signup"
        case .magicLink: "magiclink"
        case .recovery: "recovery"
        }
    }
}

/// Limits of mails (AU-171, AU-282).
package struct MailPolicy: Sendable {
    /// Whether an address must be confirmed before its owner may sign in.
    package var needsConfirmation: Bool
    /// Between two mails of one purpose to one address.
    package var gap: Duration
    package var codeLength: Int
    package var linkLife: Duration
    package var codeLife: Duration
    /// Mails of the whole installation in an hour.
    package var perHour: Int

    /// To one mailbox, over all purposes.
    static let mailboxPerHour = 10
    static let mailboxPerDay = 30
    /// Wrong guesses after which a code is void (AU-506).
    static let guessesMax: Int64 = 10

    package init(
        needsConfirmation: Bool = false, gap: Duration = .seconds(60), codeLength: Int = 6,
        linkLife: Duration = .seconds(3_600), codeLife: Duration = .seconds(600), perHour: Int = 30
    ) {
        self.needsConfirmation = needsConfirmation
        self.gap = gap
        self.codeLength = codeLength
        self.linkLife = linkLife
        self.codeLife = min(codeLife, linkLife)
        self.perHour = perHour
    }
}

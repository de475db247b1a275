// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

extension Settings {
    /// Supabase's `[auth.email.template.<kind>]`, as far as the kind exists.
    var mailTemplates: [String: MailTemplateSet.Override] {
        [
            "confirmation": MailTemplateSet.Override(
                subject: self[\.mail.confirmationSubject], contentPath: self[\.mail.confirmationPath]),
            "magic_link": MailTemplateSet.Override(
                subject: self[\.mail.magicLinkSubject], contentPath: self[\.mail.magicLinkPath]),
            "recovery": MailTemplateSet.Override(
                subject: self[\.mail.recoverySubject], contentPath: self[\.mail.recoveryPath]),
        ]
    }
}

// SPDX-License-Identifier: Apache-2.0

/// The mails that auth asks for, as they read when the project says nothing else. Each has the link and the code
/// (AU-501). Their texts are our own.
enum DefaultTemplates {
    /// The sources of one template.
    struct Source: Sendable {
        let subject: String
        let html: String
        let text: String

        /// A mail with one link, and the code under it.
        fileprivate init(subject: String, says: String, link: String, otherwise: String) {
            self.subject = subject
            html = """
                <!doctype html>
                <html><body style="font-family: sans-serif; line-height: 1.5">
                <p>\(says)</p>
                <p><a href="{{ .ConfirmationURL }}">\(link)</a></p>
                <p>Or enter this code: <strong>{{ .Token }}</strong></p>
                <p>\(otherwise)</p>
                </body></html>

                """
            text = """
                \(says)

                {{ .ConfirmationURL }}

                Or enter this code: {{ .Token }}

                \(otherwise)

                """
        }
    }

    static let sources: [String: Source] = [
        "confirmation": Source(
            subject: "Confirm your e-mail address",
            says: "Please confirm that this address is yours.", link: "Confirm the address",
            otherwise: "If you did not sign up, ignore this mail: nothing happens then."),
        "magic_link": Source(
            subject: "Your sign-in link",
            says: "Follow this link to sign in.", link: "Sign in",
            otherwise: "If you did not ask for it, ignore this mail: nobody is signed in by it then."),
        "recovery": Source(
            subject: "Reset your password",
            says: "Follow this link to choose a new password.", link: "Reset the password",
            otherwise: "If you did not ask for it, ignore this mail: your password stays as it is."),
    ]
}

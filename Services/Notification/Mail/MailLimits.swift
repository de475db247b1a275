// SPDX-License-Identifier: Apache-2.0

/// Bounds of mails. Which setting may change one stands in `docs/configuration.md`.
enum MailLimits {
    /// Largest address, in bytes (RFC 5321, 4.5.3.1.3, without the brackets).
    static let addressBytesMax = 254
    /// Largest local part, in bytes (RFC 5321, 4.5.3.1.1).
    static let localPartBytesMax = 64
    /// Largest subject, in bytes: it becomes header lines.
    static let subjectBytesMax = 1_000
    /// Largest body of one kind, in bytes, also of a template and of what is rendered of it.
    static let bodyBytesMax = 1_048_576
    /// Longest idempotency key, in bytes.
    static let keyBytesMax = 255
    /// Mails that wait for delivery; one more is refused with `busy`, so that its sender keeps it.
    static let waitingMax: Int64 = 10_000
    /// How long a mail is tried, from its acceptance on.
    static let patience: Duration = .seconds(86_400)
    /// Pauses after a failed attempt; the last one repeats. Each is drawn from its second half.
    static let pauses: [Duration] = [
        .seconds(1), .seconds(5), .seconds(30), .seconds(120), .seconds(600), .seconds(3_600),
    ]
    /// What a lease lasts beyond the longest delivery.
    static let leaseMargin: Duration = .seconds(10)
    /// Nesting of sections in a template.
    static let sectionsMax = 32
    /// Mails that the development catcher keeps; the oldest go.
    static let caughtMax = 1_000
    /// Mails on the development page.
    static let listedMax = 100
    /// Deliveries in one answer to an operator.
    static let deliveriesMax = 1_000
    /// Of a failure's words, in bytes.
    static let errorBytesMax = 500
    /// Rows that one clean-up round removes.
    static let cleanUpMax = 500
}

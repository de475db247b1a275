// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// What mails are counted by.
struct MailMetrics: Sendable {
    let accepted: Counter
    let sent: Counter
    let failures: Counter
    let dead: Counter
    let unknownOutcomes: Counter
    let waiting: Gauge

    init(_ registry: MetricsRegistry) {
        accepted = registry.counter("martlet_notification_mails_accepted_total", "Mails that were taken for delivery.")
        sent = registry.counter("martlet_notification_mails_sent_total", "Mails that a server took.")
        failures = registry.counter(
            "martlet_notification_mail_failures_total", "Attempts after which a mail is tried again.")
        dead = registry.counter("martlet_notification_mails_dead_total", "Mails that were given up.")
        unknownOutcomes = registry.counter(
            "martlet_notification_mail_unknown_outcomes_total",
            "Attempts of which nobody knows whether the server has the mail.")
        waiting = registry.gauge("martlet_notification_mails_waiting", "Mails that wait for their delivery.")
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// What the hub counts.
struct HubMetrics: Sendable {
    let sockets: Gauge
    let members: Gauge
    let framesIn: Counter
    let framesOut: Counter
    let dropped: Counter
    let refusedJoins: Counter
    let sessionsLost: Counter

    init(_ registry: MetricsRegistry) {
        sockets = registry.gauge("martlet_notification_sockets", "Connected sockets.")
        members = registry.gauge("martlet_notification_members", "Memberships of sockets in channels.")
        framesIn = registry.counter("martlet_notification_frames_in_total", "Frames from clients.")
        framesOut = registry.counter("martlet_notification_frames_out_total", "Frames to clients, one per socket.")
        dropped = registry.counter(
            "martlet_notification_frames_dropped_total", "Frames from clients that could not be read.")
        refusedJoins = registry.counter("martlet_notification_joins_refused_total", "Joins that were refused.")
        sessionsLost = registry.counter(
            "martlet_notification_sessions_lost_total", "Sessions of edges that ended because they took nothing.")
    }
}

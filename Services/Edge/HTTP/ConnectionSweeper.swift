// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletServiceKit
internal import NIOCore

/// Looks after the time limits of all connections of one event loop, so that a request costs no timer of its own.
///
/// Used on its event loop only.
final class ConnectionSweeper {
    /// How late a time limit may be noticed.
    static let interval = TimeAmount.milliseconds(250)

    private var connections: [ObjectIdentifier: ConnectionHandler] = [:]
    private(set) var isClosing = false
    /// The field `Date` (RFC 9110, section 6.6.1), made anew with every sweep.
    private(set) var date = ConnectionSweeper.date(now: time_t(WallTime.now.seconds))

    var count: Int { connections.count }

    func add(_ connection: ConnectionHandler) { connections[ObjectIdentifier(connection)] = connection }
    func remove(_ connection: ConnectionHandler) { connections[ObjectIdentifier(connection)] = nil }

    func sweep() {
        let now = NIODeadline.now()
        date = Self.date(now: time_t(WallTime.now.seconds))
        for connection in connections.values { connection.check(now) }
    }

    /// From now on connections end as soon as they have nothing to answer.
    func beginClosing() {
        isClosing = true
        for connection in connections.values { connection.closeWhenIdle() }
    }

    /// IMF-fixdate (RFC 9110, section 5.6.7); English whatever the locale.
    static func date(now: time_t) -> String {
        var now = now
        var parts = tm()
        gmtime_r(&now, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(days[Int(parts.tm_wday) % 7]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon) % 12]) "
            + "\(Int(parts.tm_year) + 1900) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}

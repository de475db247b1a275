// SPDX-License-Identifier: Apache-2.0

import MartletWire
import Testing

@testable import MartletCommand

@Suite("Supervision")
struct SupervisionTests {
    private static let services: [ServiceName] = [.auth, .data, .logic, .notification, .edge]
    private let begin = ContinuousClock.now

    private func begun() -> Supervision {
        var supervision = Supervision(
            services: Self.services, limits: SupervisionLimits(drainTimeout: .seconds(25)))
        #expect(supervision.begin(at: begin) == Self.services.map { .start($0) })
        return supervision
    }

    private func ready() -> Supervision {
        var supervision = begun()
        for service in Self.services { _ = supervision.becameReady(service) }
        return supervision
    }

    @Test("Readiness is announced once, when the last service has it, and not again after a restart")
    func announcesOnce() {
        var supervision = begun()
        for service in Self.services.dropLast() { #expect(supervision.becameReady(service) == []) }
        #expect(supervision.unready == [.edge])
        #expect(supervision.becameReady(.edge) == [.announce])
        _ = supervision.ended(.data, .signalled(9), at: begin + .seconds(20))
        #expect(supervision.unready == [])
        #expect(supervision.timePassed(at: begin + .seconds(21)) == [.start(.data)])
        #expect(supervision.unready == [.data])
        #expect(supervision.becameReady(.data) == [])
    }

    @Test("The delay doubles from 50 ms to 2 s and begins anew after ten seconds of life")
    func backoff() {
        var supervision = ready()
        var now = begin + .seconds(60)
        var delays: [Duration] = []
        for _ in 0..<8 {
            let actions = supervision.ended(.data, .signalled(11), at: now)
            guard case .note(.restarts(.data, .signalled(11), let delay)) = actions.first else {
                Issue.record("\(actions)")
                return
            }
            delays.append(delay)
            #expect(supervision.nextDeadline == now + delay)
            #expect(supervision.timePassed(at: now + delay - .milliseconds(1)) == [])
            now += delay
            #expect(supervision.timePassed(at: now) == [.start(.data)])
        }
        #expect(delays == [50, 100, 200, 400, 800, 1_600, 2_000, 2_000].map { .milliseconds($0) })
        now += .seconds(10)
        let restart = supervision.ended(.data, .exited(0), at: now)
        #expect(restart == [.note(.restarts(.data, .exited(0), after: .milliseconds(50)))])
    }

    @Test("What another start cannot repair stops everything, with its status", arguments: [64, 73, 78] as [Int32])
    func fatal(status: Int32) {
        var supervision = ready()
        let actions = supervision.ended(.data, .exited(status), at: begin + .seconds(30))
        #expect(actions == [.note(.fails(.data, .exited(status))), .terminate(.edge)])
        #expect(endAll(&supervision) == .end(status))
    }

    @Test("A taken port or directory is fatal before the first readiness and waited for after it", arguments: [69, 75])
    func taken(status: Int32) {
        var fresh = begun()
        #expect(fresh.ended(.edge, .exited(status), at: begin).first == .note(.fails(.edge, .exited(status))))
        #expect(endAll(&fresh) == .end(status))
        var old = ready()
        let actions = old.ended(.edge, .exited(status), at: begin + .seconds(30))
        #expect(actions == [.note(.restarts(.edge, .exited(status), after: .milliseconds(50)))])
    }

    @Test("A service that dies five times without ever having been ready stops everything")
    func neverReady() {
        var supervision = begun()
        var now = begin
        for count in 1...5 {
            let actions = supervision.ended(.logic, .exited(70), at: now)
            if count == 5 {
                #expect(actions.first == .note(.fails(.logic, .exited(70))))
            } else {
                now += .seconds(3)
                #expect(supervision.timePassed(at: now) == [.start(.logic)])
            }
        }
        #expect(endAll(&supervision) == .end(70))
    }

    @Test("The edge stops first, the others after it, and a second signal changes nothing")
    func stopsInOrder() {
        var supervision = ready()
        #expect(supervision.stop(at: begin) == [.terminate(.edge)])
        #expect(supervision.stop(at: begin) == [])
        let others = supervision.ended(.edge, .exited(0), at: begin)
        #expect(others == [.auth, .data, .logic, .notification].map { .terminate($0) })
        for service in [.auth, .data, .logic] as [ServiceName] {
            #expect(supervision.ended(service, .exited(0), at: begin) == [])
        }
        #expect(supervision.ended(.notification, .exited(0), at: begin) == [.end(0)])
    }

    @Test("The others do not wait for an edge that hangs, and what hangs for 30 s is killed")
    func kills() {
        var supervision = ready()
        _ = supervision.stop(at: begin)
        #expect(supervision.nextDeadline == begin + .milliseconds(12_500))
        let told = supervision.timePassed(at: begin + .milliseconds(12_500))
        #expect(told == [.auth, .data, .logic, .notification].map { .terminate($0) })
        for service in [.auth, .logic, .notification] as [ServiceName] {
            #expect(supervision.ended(service, .exited(0), at: begin + .seconds(13)) == [])
        }
        #expect(supervision.timePassed(at: begin + .seconds(29)) == [])
        #expect(supervision.nextDeadline == begin + .seconds(30))
        #expect(supervision.timePassed(at: begin + .seconds(30)) == [.kill(.data), .kill(.edge)])
        #expect(supervision.timePassed(at: begin + .seconds(31)) == [])
        _ = supervision.ended(.data, .signalled(9), at: begin + .seconds(31))
        let last = supervision.ended(.edge, .signalled(9), at: begin + .seconds(31))
        #expect(last == [.note(.stopsBadly(.edge, .signalled(9))), .end(70)])
    }

    @Test("A stop while a service waits for its restart does not start it")
    func stopsWhileWaiting() {
        var supervision = ready()
        _ = supervision.ended(.data, .signalled(9), at: begin)
        _ = supervision.stop(at: begin)
        #expect(supervision.timePassed(at: begin + .seconds(1)) == [])
        #expect(endAll(&supervision) == .end(0))
    }

    /// Ends every process well; the last action.
    private func endAll(_ supervision: inout Supervision) -> Supervision.Action? {
        Self.services.flatMap { supervision.ended($0, .exited(0), at: begin + .seconds(31)) }.last
    }
}

@Suite("Readiness probe")
struct ReadinessProbeTests {
    @Test(
        "The status decides, and the body is the reason",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n", .ready),
            ("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nno database\n", .notReady("no database")),
            ("HTTP/1.1 404 Not Found\r\n\r\n", .notReady("status 404")), ("", .silent), ("SSH-2.0-x\r\n", .silent),
        ] as [(String, ReadinessProbe.Answer)])
    func parses(response: String, answer: ReadinessProbe.Answer) {
        #expect(ReadinessProbe.parse(response) == answer)
    }

    @Test(
        "Nobody there is no answer",
        arguments: ["http://127.0.0.1:1", "http://[::1]:1", "tcp://127.0.0.1:1", "nonsense"])
    func silence(address: String) { #expect(ReadinessProbe.ask(address) == .silent) }
}

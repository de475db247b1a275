// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletWire

/// Answers `system.status` for a service: the same that `/readyz` says, over the bus.
enum StatusMethod {
    static func serve(on bus: Bus, instance: String, readiness: Readiness) {
        let service = bus.service.rawValue
        let started = ContinuousClock.now
        bus.handle(MethodRegistry.systemStatus) { _ in
            var reply = Martlet_Wire_V1_SystemStatusReply()
            reply.service = service
            reply.instance = instance
            reply.version = MartletVersion.current
            switch readiness.status {
            case .ready: reply.ready = true
            case .notReady(let reason):
                reply.reason = reason
                reply.draining = readiness.isDraining
            }
            let uptime = (ContinuousClock.now - started).components
            reply.uptimeMilliseconds = UInt64(
                clamping: uptime.seconds * 1_000 + uptime.attoseconds / 1_000_000_000_000_000)
            return OutboundReply(payload: reply.payload)
        }
    }
}

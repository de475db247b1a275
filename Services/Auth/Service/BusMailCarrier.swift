// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletJSON
internal import MartletWire

/// The notification service over the bus.
struct BusMailCarrier: MailCarrier {
    let bus: Bus

    func carry(_ mail: OutgoingMail, deadline: ContinuousClock.Instant) async -> MailCarriage {
        var message = Martlet_Wire_V1_MailSendRequest()
        message.to = mail.to
        message.template = mail.kind
        message.variables = mail.variables.text
        do throws(BusError) {
            _ = try await bus.request(
                MethodRegistry.mailSend, to: .notification, header: RequestHeader(trace: mail.trace, idempotencyKey: mail.id),
                payload: message.payload, deadline: deadline)
            return .taken
        } catch {
            switch error.code {
            case .badMessage, .idempotencyMismatch: return .refused("\(error.code.name) \(error.message)")
            default: return .failed("\(error.code.name) \(error.message)")
            }
        }
    }
}

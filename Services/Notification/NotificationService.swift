// SPDX-License-Identifier: Apache-2.0

package import MartletServiceKit
package import MartletWire
internal import ServiceLifecycle

/// The notification service. It answers no method yet: a request to it is refused by the bus as an unknown method.
package struct NotificationService: MartletService {
    package static let name = ServiceName.notification

    private let context: ServiceContext

    package init(_ context: ServiceContext) { self.context = context }

    package func run() async throws {
        context.readiness.set(.ready)
        try await gracefulShutdown()
    }
}

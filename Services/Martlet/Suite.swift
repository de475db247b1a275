// SPDX-License-Identifier: Apache-2.0

internal import MartletAuth
internal import MartletData
internal import MartletEdge
internal import MartletLogic
internal import MartletNotification
internal import MartletServiceKit
internal import MartletWire

/// The services that `martlet up` runs; the only place that lists them.
enum Suite {
    static let services: [any MartletService.Type] = [
        AuthService.self, DataService.self, LogicService.self, NotificationService.self, EdgeService.self,
    ]

    static var names: [ServiceName] { services.map { $0.name } }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletWire

/// Where services listen for one another and find one another (D5, D10, D11).
package struct BusSettings: Sendable {
    package let transport = Setting<BusTransport>(
        "martlet.transport", .tcp,
        "How services find each other where no endpoints are named: the ports below, or sockets in the data directory.")
    package let address = Setting<String>(
        "martlet.bus_address", "127.0.0.1", "Address that the request and event ports bind.",
        fault: NetworkText.addressFault)

    package let edgeEventPort = Setting<Int>(
        port: "martlet.edge.event_port", 7101, readers: [.edge], "Events of the edge.")
    package let authRequestPort = Setting<Int>(
        port: "martlet.auth.request_port", 7110, readers: [.auth], "Requests to auth.")
    package let authEventPort = Setting<Int>(port: "martlet.auth.event_port", 7111, readers: [.auth], "Events of auth.")
    package let dataRequestPort = Setting<Int>(
        port: "martlet.data.request_port", 7120, readers: [.data], "Requests to data.")
    package let dataEventPort = Setting<Int>(port: "martlet.data.event_port", 7121, readers: [.data], "Events of data.")
    package let logicRequestPort = Setting<Int>(
        port: "martlet.logic.request_port", 7130, readers: [.logic], "Requests to logic.")
    package let logicEventPort = Setting<Int>(
        port: "martlet.logic.event_port", 7131, readers: [.logic], "Events of logic.")
    package let notificationRequestPort = Setting<Int>(
        port: "martlet.notification.request_port", 7140, readers: [.notification], "Requests to notification.")
    package let notificationEventPort = Setting<Int>(
        port: "martlet.notification.event_port", 7141, readers: [.notification], "Events of notification.")

    package let edgeEndpoints = Self.endpoints(of: .edge)
    package let authEndpoints = Self.endpoints(of: .auth)
    package let dataEndpoints = Self.endpoints(of: .data)
    package let logicEndpoints = Self.endpoints(of: .logic)
    package let notificationEndpoints = Self.endpoints(of: .notification)

    private static func endpoints(of service: ServiceName) -> Setting<[String]> {
        Setting<[String]>(
            "martlet.\(service.rawValue).endpoints", [], range: "`request|event` each",
            "Replicas of \(service.rawValue), for those who call it: `tcp://host:7110|tcp://host:7111`, names are resolved again every 5 s; the event endpoint may be left out. Empty: this machine's own ports."
        ) { endpoints in
            for endpoint in endpoints where NetworkText.replica(endpoint) == nil {
                return
                    "\(endpoint) is no endpoint; expected tcp://host:port or ipc:///path, and after | that of the events"
            }
            return nil
        }
    }

    /// Port of requests; nil for the edge, which answers nobody on the bus.
    package func requestPort(of service: ServiceName) -> Setting<Int>? {
        switch service {
        case .auth: authRequestPort
        case .data: dataRequestPort
        case .logic: logicRequestPort
        case .notification: notificationRequestPort
        case .edge, .operator: nil
        }
    }

    /// Port of events; nil for the operator.
    package func eventPort(of service: ServiceName) -> Setting<Int>? {
        switch service {
        case .edge: edgeEventPort
        case .auth: authEventPort
        case .data: dataEventPort
        case .logic: logicEventPort
        case .notification: notificationEventPort
        case .operator: nil
        }
    }

    /// The named replicas of a service; nil for the operator.
    package func endpoints(of service: ServiceName) -> Setting<[String]>? {
        switch service {
        case .edge: edgeEndpoints
        case .auth: authEndpoints
        case .data: dataEndpoints
        case .logic: logicEndpoints
        case .notification: notificationEndpoints
        case .operator: nil
        }
    }
}

/// The port for probes and metrics (design, section 11).
package struct AdminSettings: Sendable {
    package let address = Setting<String>(
        "martlet.admin_address", "127.0.0.1", "Address that the admin ports bind.", fault: NetworkText.addressFault)
    package let edgePort = Setting<Int>(
        port: "martlet.edge.admin_port", 9100, readers: [.edge], "Probes and metrics of the edge.")
    package let authPort = Setting<Int>(
        port: "martlet.auth.admin_port", 9110, readers: [.auth], "Probes and metrics of auth.")
    package let dataPort = Setting<Int>(
        port: "martlet.data.admin_port", 9120, readers: [.data], "Probes and metrics of data.")
    package let logicPort = Setting<Int>(
        port: "martlet.logic.admin_port", 9130, readers: [.logic], "Probes and metrics of logic.")
    package let notificationPort = Setting<Int>(
        port: "martlet.notification.admin_port", 9140, readers: [.notification], "Probes and metrics of notification.")

    /// nil for the operator.
    package func port(of service: ServiceName) -> Setting<Int>? {
        switch service {
        case .edge: edgePort
        case .auth: authPort
        case .data: dataPort
        case .logic: logicPort
        case .notification: notificationPort
        case .operator: nil
        }
    }
}

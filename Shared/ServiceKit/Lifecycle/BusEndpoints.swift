// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletWire

/// Where a service listens on the bus and where it finds the others (D5, D10, D11).
struct BusEndpoints: Sendable, Equatable {
    var request: [String] = []
    var event: [String] = []
    var peers: [ServiceName: [PeerEndpoint]] = [:]

    private static let services = ServiceName.allCases.filter { $0 != .operator }

    /// All of `services` in one process.
    static func oneProcess(_ service: ServiceName, among services: [ServiceName]) -> BusEndpoints {
        var endpoints = BusEndpoints(event: [localEvent(service)])
        if service != .edge { endpoints.request = ["inproc://\(service.rawValue)"] }
        for peer in services where peer != service {
            endpoints.peers[peer] = [
                PeerEndpoint(request: peer == .edge ? "" : "inproc://\(peer.rawValue)", event: localEvent(peer))
            ]
        }
        return endpoints
    }

    private static func localEvent(_ service: ServiceName) -> String { "inproc://\(service.rawValue).events" }

    /// Throws `StartFailure` with status `configuration`, naming the key.
    static func separate(
        _ service: ServiceName, settings: Settings, directory: DataDirectory
    ) throws(StartFailure) -> BusEndpoints {
        let table = SettingsTable.shared
        var endpoints = BusEndpoints()
        for name in services {
            let requestPort = table.bus.requestPort(of: name)
            if name != service, let setting = table.bus.endpoints(of: name), !settings[setting].isEmpty {
                endpoints.peers[name] = settings[setting].compactMap(NetworkText.replica).map {
                    PeerEndpoint(request: $0.request, event: $0.event)
                }
                continue
            }
            let place: PeerEndpoint
            switch settings[\.bus.transport] {
            case .ipc:
                place = PeerEndpoint(
                    request: requestPort == nil ? "" : "ipc://" + directory.socket(of: name, "request"),
                    event: "ipc://" + directory.socket(of: name, "event"))
                let path = directory.socket(of: name, "request")
                guard NetworkText.isSocketPath(path) else {
                    throw StartFailure(
                        .configuration,
                        "martlet.data_dir: \(path) is too long for a socket (107 bytes); use a shorter folder or transport tcp"
                    )
                }
            case .tcp:
                let address = settings[\.bus.address]
                for setting in [requestPort, table.bus.eventPort(of: name)].compactMap(\.self)
                where name != service && settings[setting] == 0 {
                    throw StartFailure(
                        .configuration,
                        "\(setting.path): 0 cannot be found by the \(service.rawValue) service; set a port, martlet.\(name.rawValue).endpoints or transport ipc"
                    )
                }
                place = PeerEndpoint(
                    request: requestPort.map { tcp(address, settings[$0]) } ?? "",
                    event: table.bus.eventPort(of: name).map { tcp(address, settings[$0]) } ?? "")
            }
            if name == service {
                endpoints.request = place.request.isEmpty ? [] : [place.request]
                endpoints.event = place.event.isEmpty ? [] : [place.event]
            } else {
                endpoints.peers[name] = [reachable(place)]
            }
        }
        return endpoints
    }

    private static func tcp(_ address: String, _ port: Int) -> String {
        let host = address.contains(":") ? "[\(address)]" : address
        return "tcp://\(host):\(port == 0 ? "*" : String(port))"
    }

    /// Who binds every address of the machine is found on its own one.
    private static func reachable(_ place: PeerEndpoint) -> PeerEndpoint {
        func local(_ endpoint: String) -> String {
            for (all, own) in [("tcp://0.0.0.0:", "tcp://127.0.0.1:"), ("tcp://[::]:", "tcp://[::1]:")]
            where endpoint.hasPrefix(all) {
                return own + endpoint.dropFirst(all.count)
            }
            return endpoint
        }
        return PeerEndpoint(request: local(place.request), event: local(place.event))
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletBus
package import MartletWire

/// The CURVE keys of a service and of those it talks to (D8): `keys/curve/<service>.{key,pub}` and `keys/allow`.
///
/// In development the first process makes the pairs of all services. They are marked as made so, and production
/// refuses them (D4).
package struct BusKeys: Sendable, Equatable {
    package let own: CurveKeyPair
    package let allowed: AllowList

    /// Public keys of every service, several during rotation.
    package var serverKeys: [ServiceName: [String]] {
        let now = WallTime.now.seconds
        return Dictionary(uniqueKeysWithValues: ServiceName.allCases.map { ($0, allowed.keys(of: $0, at: now)) })
    }

    /// Throws `StartFailure` with status `configuration`, naming the file.
    package static func load(
        _ service: ServiceName, from directory: DataDirectory, mode: DeploymentMode
    ) throws(StartFailure) -> BusKeys {
        if mode == .development {
            try makeMissing(in: directory, for: service, forDevelopment: true)
        } else if PosixFile.exists(marker(directory)) {
            throw StartFailure(
                .configuration,
                "\(curve(directory)): these keys were made for development; `martlet keys rotate` makes others, or name another data directory"
            )
        }
        do throws(BusError) {
            return BusKeys(
                own: try CurveKeyPair.load(service, directory: curve(directory)),
                allowed: try AllowList.load(path: allowFile(directory)))
        } catch {
            throw StartFailure(.configuration, "The keys of the \(service.rawValue) service: \(error.message)")
        }
    }

    package static func allowFile(_ directory: DataDirectory) -> String { directory.keys + "/allow" }
    package static func curve(_ directory: DataDirectory) -> String { directory.keys + "/curve" }
    private static func marker(_ directory: DataDirectory) -> String { directory.keys + "/made-for-development" }

    /// Makes the pairs that are not there yet, under a lock: five processes may start at once. A first set that is made
    /// for development is marked as such.
    ///
    /// - Parameter service: nothing is missing if its own pair and the list are there: a service that was given them
    ///   needs nobody else's secrets.
    package static func makeMissing(
        in directory: DataDirectory, for service: ServiceName? = nil, forDevelopment: Bool = false
    ) throws(StartFailure) {
        try make(in: directory) {
            if let service, PosixFile.exists("\(curve(directory))/\(service.rawValue).key"),
                PosixFile.exists(allowFile(directory))
            {
                return
            }
            let missing = ServiceName.allCases.filter {
                !PosixFile.exists("\(curve(directory))/\($0.rawValue).key")
            }
            guard !missing.isEmpty else { return }
            if forDevelopment, missing.count == ServiceName.allCases.count {
                let text = "Keys in this folder were made by a start in development. Production refuses them.\n"
                try PosixFile.replace(marker(directory), with: text)
            }
            let allowed =
                PosixFile.exists(allowFile(directory)) ? try AllowList.load(path: allowFile(directory)) : AllowList()
            try makePairs(of: missing, in: directory, allowed: allowed)
        }
    }

    /// New pairs for all services in place of the old ones, which lose their access, and no mark of development. Running
    /// services read theirs at the next start.
    package static func rotate(in directory: DataDirectory) throws(StartFailure) {
        try make(in: directory) {
            try makePairs(of: ServiceName.allCases, in: directory, allowed: AllowList())
            try PosixFile.remove(marker(directory))
        }
    }

    /// The list first: a pair that is there is always on it.
    private static func makePairs(
        of services: [ServiceName], in directory: DataDirectory, allowed: AllowList
    ) throws {
        var allowed = allowed
        let pairs = try services.map { (service: $0, pair: try CurveKeyPair.make()) }
        for (service, pair) in pairs { allowed.entries[pair.publicKey] = AllowList.Entry(service: service) }
        try PosixFile.replace(allowFile(directory), with: allowed.text)
        for (service, pair) in pairs { try pair.save(service, directory: curve(directory)) }
    }

    private static func make(in directory: DataDirectory, _ body: () throws -> Void) throws(StartFailure) {
        do {
            let lock = try FileLock(path: directory.keys + "/.lock", waiting: true)
            try body()
            _ = consume lock
        } catch {
            let text = (error as? BusError)?.message ?? "\(error)"
            throw StartFailure(.cannotCreate, "The keys of the bus cannot be made: \(text)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import MartletServiceKit

extension ManagedPostgres {
    /// The server of a service's data directory, not started yet.
    ///
    /// - Throws: `StartFailure` without programs of the right version, and for a folder that it cannot use.
    static func of(
        _ settings: Settings, _ directory: DataDirectory, _ logger: Logger
    ) throws(StartFailure) -> ManagedPostgres {
        let named = settings[\.data.postgresFolder]
        let folder = ManagedCluster.folder(settings, directory)
        let version = ManagedCluster.version(of: folder + "/cluster")
        guard let binaries = PostgresBinaries.find(settings, version: version) else {
            if let version { throw ManagedCluster.otherVersion(version, folder, PostgresBinaries.find(settings)) }
            throw StartFailure(
                .configuration,
                "PostgreSQL's programs (postgres and initdb, version \(PostgresBinaries.versionMin) or later) are not on "
                    + "this machine: install them (Debian: apt install postgresql), name their folder in "
                    + "martlet.data.postgres_binaries, or set martlet.data.engine to the URL of a server.")
        }
        var user: SystemUser?
        if geteuid() == 0 {
            let name = settings[\.data.postgresUser]
            user = SystemUser(named: name)
            guard let user, user.number != 0 else {
                throw StartFailure(
                    .configuration,
                    "PostgreSQL must not run as root, and there is no other user \(name) (martlet.data.postgres_user).")
            }
            if named == nil { try directory.letOthersThrough() }
        }
        let entries = PosixFile.names(in: folder)
        guard entries.isEmpty || entries.contains("cluster") || entries.allSatisfy(ManagedCluster.ownNames.contains) else {
            throw StartFailure(
                .configuration, "\(folder) holds other things: martlet.data.postgres_folder must be a folder of its own.")
        }
        let cluster = ManagedCluster(
            folder: folder, socketFolder: try ManagedCluster.socketFolder(for: folder), binaries: binaries, user: user)
        return try ManagedPostgres(cluster, logger: logger)
    }
}

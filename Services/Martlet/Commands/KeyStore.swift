// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletAccessTokens
internal import MartletServiceKit
internal import MartletWire

/// The keys in a data directory, as a person handles them: those of the project and those of the services.
struct KeyStore {
    private let directory: DataDirectory
    private let isProduction: Bool

    init(_ settings: Settings) throws(StartFailure) {
        directory = try DataDirectory(path: DataDirectory.path(settings))
        isProduction = settings[\.process.mode] == .production
    }

    /// The project's keys, made first if there are none.
    func projectKeys() throws(StartFailure) -> ProjectKeys {
        do throws(KeyError) {
            return try ProjectKeys.loadOrMake(
                directory: directory.keys, production: isProduction, now: WallTime.now.seconds)
        } catch { throw Self.failure(error) }
    }

    /// The project's keys; the pairs of the services and the key of what is encrypted at rest are there as well when it
    /// returns.
    func makeMissing() throws(StartFailure) -> ProjectKeys {
        let keys = try projectKeys()
        try BusKeys.makeMissing(in: directory)
        do throws(KeyError) { _ = try EncryptionKeys.loadOrMake(directory: directory.keys) } catch {
            throw Self.failure(error)
        }
        return keys
    }

    /// Replaces every key. Throws `StartFailure` with status `alreadyRunning` if a service runs on the directory: it
    /// would go on with the old ones.
    func rotate() throws(StartFailure) -> ProjectKeys {
        let locks = try Suite.names.map { service throws(StartFailure) in try directory.lock(service) }
        try BusKeys.rotate(in: directory)
        let keys: ProjectKeys
        do throws(KeyError) {
            keys = try ProjectKeys.rotate(directory: directory.keys, production: isProduction, now: WallTime.now.seconds)
        } catch { throw Self.failure(error) }
        _ = consume locks
        return keys
    }

    private static func failure(_ error: KeyError) -> StartFailure {
        StartFailure(.configuration, "The project's keys cannot be used: \(error.message)")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import MartletServiceKit
import MartletWire
import Testing

/// A folder of a test's own, gone when it is released.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-kit-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String, mode: UInt32 = 0o600) throws {
        try PosixFile.replace("\(path)/\(name)", with: text, mode: mode)
    }

    /// The permission bits of a file or folder in it.
    func mode(_ name: String) -> UInt32 {
        var status = stat()
        return stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o777 : 0
    }
}

/// Settings from the text of a config.toml, flags and variables.
func resolve(
    _ text: String = "", flags: [String] = [], environment: [String: String] = [:],
    services: [ServiceName] = [.data]
) throws -> Settings {
    let folder = try Folder()
    try folder.write("config.toml", text)
    return try SettingsResolver(
        flags: try CommandLineFlags(flags + ["--project", folder.path]), environment: environment
    ).resolve(for: services)
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletServiceKit
import MartletWire

/// A project folder of a test's own, gone when it is released.
final class TestProject: Sendable {
    let path: String
    let settings: Settings

    init(_ text: String, files: [String: String] = [:]) throws {
        path = "/tmp/martlet-logic-\(UInt32.random(in: .min ... .max))"
        for (name, content) in files.merging(["config.toml": text], uniquingKeysWith: { first, _ in first }) {
            let url = URL(filePath: "\(path)/\(name)")
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content.utf8).write(to: url)
        }
        settings = try SettingsResolver(
            flags: CommandLineFlags(["--project", path]), environment: [:]
        ).resolve(for: [.logic])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

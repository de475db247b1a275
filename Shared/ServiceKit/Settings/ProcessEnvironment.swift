// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The environment that the process was started with.
package enum ProcessEnvironment {
    /// Variables by name. Of two with one name the first counts, as for getenv(3).
    package static var variables: [String: String] {
        var variables: [String: String] = [:]
        guard let text = try? PosixFile.read("/proc/self/environ", bytesMax: 4 << 20) else { return variables }
        for entry in text.split(separator: "\0") {
            guard let equals = entry.firstIndex(of: "=") else { continue }
            let name = String(entry[..<equals])
            if variables[name] == nil { variables[name] = String(entry[entry.index(after: equals)...]) }
        }
        return variables
    }
}

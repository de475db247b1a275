// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// What a worker finds in its environment (FN-08).
struct WorkerEnvironment: Sendable {
    /// Where the APIs are, as a worker on this machine reaches them.
    var url: String
    var anonKey: String
    var serviceRoleKey: String
    /// The public keys that verify tokens, as a JWK set.
    var jwks: String
    /// Nil where the data is in SQLite: no worker opens another service's file.
    var databaseURL: String?

    static let variablesMax = 100
    static let nameBytesMax = 256
    static let valueBytesMax = 48 << 10

    /// What every function has.
    var platform: [String: String] {
        var variables: [String: String] = [:]
        for prefix in ["SUPABASE", "MARTLET"] {
            variables["\(prefix)_URL"] = url
            variables["\(prefix)_ANON_KEY"] = anonKey
            variables["\(prefix)_SERVICE_ROLE_KEY"] = serviceRoleKey
            variables["\(prefix)_JWKS"] = jwks
            variables["\(prefix)_DB_URL"] = databaseURL
        }
        variables["SB_REGION"] = "local"
        return variables
    }

    /// The variables of a `.env` file: `NAME=value` in each line, quotes and `export` allowed, `#` begins a comment line.
    /// What has no valid name, is too long, one too many or the platform's is left out.
    static func parse(_ text: String) -> [String: String] {
        var variables: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            var line = trim(line)
            if line.hasPrefix("export ") { line = trim(line.dropFirst(7)) }
            guard !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") else { continue }
            let name = String(trim(line[..<equals]))
            var value = trim(line[line.index(after: equals)...])
            if let quote = value.first, quote == "\"" || quote == "'", value.count >= 2, value.last == quote {
                value = value.dropFirst().dropLast()
                if quote == "\"" {
                    value = value.replacing("\\n", with: "\n").replacing("\\\"", with: "\"")[...]
                }
            }
            guard isName(name), value.utf8.count <= valueBytesMax, variables.count < variablesMax,
                !value.utf8.contains(0)
            else { continue }
            variables[name] = String(value)
        }
        return variables
    }

    private static func isName(_ name: String) -> Bool {
        (1...nameBytesMax).contains(name.utf8.count) && !name.hasPrefix("SUPABASE_") && !name.hasPrefix("MARTLET_")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON
internal import MartletServiceKit

/// `martlet keys`: shows the keys of the project, makes what is missing, replaces them on demand.
struct KeysCommand {
    let settings: Settings
    let rotates: Bool
    let isJSON: Bool

    func run() throws(StartFailure) {
        let store = try KeyStore(settings)
        let keys = rotates ? try store.rotate() : try store.makeMissing()
        if isJSON { return Console.print(keys.document.text + "\n") }
        let names = ["anon", "service_role", "publishable", "secret", "jwt_secret", "jwks"]
        for name in names {
            guard let value = keys.document[name] else { continue }
            Console.print(name.padded(to: 14) + (value.stringValue ?? value.text) + "\n")
        }
        if rotates { Console.complain("these keys are new; clients need them, and the old ones are void") }
    }
}

extension String {
    /// With spaces behind it; a longer text stays as it is.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(width - count, 1)) }
}

// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletData
internal import MartletServiceKit

/// What `martlet up` prints once all services are ready: where everything is, and how to stop.
struct ReadySummary {
    let settings: Settings
    let keys: ProjectKeys
    /// Where the edge listens: `http://127.0.0.1:8000`.
    let address: String
    /// Since the command began.
    let duration: Duration

    var text: String {
        let url = Self.reachable(address)
        let site = PosixFile.isFolder(settings.project.site) ? url + "/" : "none: there is no \(settings.project.site)"
        let directory = DataDirectory.path(settings)
        let choice =
            EngineChoice(setting: settings[\.data.engine])
            ?? (try? DataDirectory(path: directory)).flatMap(EngineChoice.recorded)
        let engine =
            switch choice {
            case .sqlite: "SQLite"
            case .server: "PostgreSQL"
            case .managed: "a PostgreSQL of its own"
            case nil: "engine not decided"
            }
        let seconds = Double(duration / .milliseconds(10)).rounded() / 100
        let lines = [
            ("API URL", url), ("Site URL", site), ("anon", keys.anon), ("service_role", keys.serviceRole),
            ("Project", settings.project.path),
            ("Data", "\(directory) (\(engine))"),
        ]
        return "Martlet \(MartletVersion.current) is ready after \(seconds) s.\n\n"
            + lines.map { "  " + $0.0.padded(to: 14) + $0.1 + "\n" }.joined()
            + "\nCtrl-C stops it; the data stays. `martlet keys` shows all keys, `martlet status` who is ready.\n"
    }

    /// Who binds every address of the machine is found on its own one.
    private static func reachable(_ address: String) -> String {
        for (all, own) in [("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")] where address.contains(all) {
            return "http:" + own + address.split(separator: ":").suffix(1).joined()
        }
        return address
    }
}

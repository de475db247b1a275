// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletJSON
import MartletNotification
import MartletServiceKit
import MartletWire
import Testing

@Suite("Notification: service", .timeLimit(.minutes(1)))
struct NotificationServiceTests {
    @Test("It starts, says that it is ready, and ends when it is told to")
    func lives() async throws {
        let path = "/tmp/martlet-notification-\(getpid())-\(UInt32.random(in: .min ... .max))"
        mkdir(path, 0o700)
        defer { Self.remove(path) }
        let environment = [
            "MARTLET_ENV": "development", "MARTLET_PROJECT": path, "MARTLET_DATA_DIR": path + "/state",
            "MARTLET_TRANSPORT": "ipc", "MARTLET_NOTIFICATION_ADMIN_PORT": "0",
        ]
        let settings = try SettingsResolver(flags: CommandLineFlags([]), environment: environment)
            .resolve(for: [.notification])
        let assembly = Assembly(
            services: [NotificationService.self], settings: settings, topology: .oneProcess,
            sink: LogSink { _ in }, handlesSignals: false)
        let (readied, ready) = AsyncStream.makeStream(of: [ServiceName: JSONObject].self)
        let running = Task {
            defer { ready.finish() }
            try await assembly.run { ready.yield($0) }
        }
        var listeners: [ServiceName: JSONObject]?
        for await found in readied {
            listeners = found
            break
        }
        #expect(listeners?[.notification]?["request"] == "inproc://notification")
        running.cancel()
        _ = await running.result
        for await _ in readied { Issue.record("It was ready twice") }
    }

    private static func remove(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            closedir(folder)
        }
        _ = Glibc.remove(path)
    }
}

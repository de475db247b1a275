// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletBus
import MartletJSON
import MartletServiceKit
import MartletWire
import Testing

@Suite("Data directory")
struct StorageTests {
    @Test("The directory and its folders are made for their owner alone, and git ignores them")
    func made() throws {
        let folder = try Folder()
        let directory = try DataDirectory(path: folder.path + "/a/b")
        for name in ["a/b", "a/b/keys", "a/b/keys/curve", "a/b/run", "a/b/mail"] { #expect(folder.mode(name) == 0o700) }
        #expect(try PosixFile.read(directory.path + "/.gitignore", bytesMax: 100) == "*\n")
    }

    @Test("A refused lock closes its own file once, and nobody else's", .timeLimit(.minutes(1)))
    func refusedLockClosesOnce() async throws {
        let folder = try Folder()
        let path = folder.path + "/lock"
        let lock = try FileLock(path: path)
        // A second close would hit a file that another thread has opened since, under the same number.
        let strangers = Task.detached {
            var lost = 0
            while !Task.isCancelled {
                let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                if close(descriptor) != 0 { lost += 1 }
            }
            return lost
        }
        for _ in 0..<5_000 { #expect(throws: FileLock.Held.self) { _ = try FileLock(path: path) } }
        strangers.cancel()
        #expect(await strangers.value == 0)
        _ = consume lock
    }

    @Test("Several threads may open one directory at once")
    func openedAtOnce() async throws {
        for _ in 0..<50 {
            let folder = try Folder()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { _ = try DataDirectory(path: folder.path + "/state") } }
                try await group.waitForAll()
            }
        }
    }

    @Test("A second owner of a service is refused and told who the first one is")
    func lock() throws {
        let folder = try Folder()
        let directory = try DataDirectory(path: folder.path)
        do {
            let held = try directory.lock(.data)
            let failure = try #require(throws: StartFailure.self) { try directory.lock(.data) }
            #expect(failure.status == .alreadyRunning)
            #expect(failure.message.contains("data service"))
            _ = try directory.lock(.auth)
            withExtendedLifetime(held) {}
        }
        _ = try directory.lock(.data)
    }

    @Test("A directory that cannot be made is a failure of its own kind")
    func unusable() throws {
        let folder = try Folder()
        try folder.write("file", "")
        let failure = try #require(throws: StartFailure.self) { try DataDirectory(path: folder.path + "/file/x") }
        #expect(failure.status == .cannotCreate)
    }

    @Test("Services keep their own member of ports.json")
    func ports() async throws {
        let folder = try Folder()
        let file = PortsFile(try DataDirectory(path: folder.path))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for service in ServiceName.allCases {
                group.addTask { try file.set(service, ["http": .string(service.rawValue)]) }
            }
            try await group.waitForAll()
        }
        #expect(try file.read().count == ServiceName.allCases.count)
        try file.set(.data, nil)
        #expect(try file.read()["data"] == nil)
        #expect(try file.read()["auth"]?["http"] == "auth")
    }
}

@Suite("Bus keys")
struct BusKeysTests {
    @Test("A service that was given its own pair and the list makes nobody else's")
    func given() throws {
        let all = try Folder()
        let edge = try BusKeys.load(.edge, from: try DataDirectory(path: all.path), mode: .development)
        let own = try Folder()
        let directory = try DataDirectory(path: own.path)
        for name in ["allow", "curve/edge.key", "curve/edge.pub", "curve/data.pub"] {
            let text = try #require(try PosixFile.read("\(all.path)/keys/\(name)", bytesMax: 4_096))
            if !PosixFile.isFolder("\(directory.keys)/curve") { mkdir("\(directory.keys)/curve", 0o700) }
            try PosixFile.replace("\(directory.keys)/\(name)", with: text)
        }
        #expect(try BusKeys.load(.edge, from: directory, mode: .development) == edge)
        #expect(!PosixFile.exists("\(directory.keys)/curve/data.key"))
    }

    @Test("Development makes every pair once; all services then agree")
    func development() throws {
        let folder = try Folder()
        let directory = try DataDirectory(path: folder.path)
        let edge = try BusKeys.load(.edge, from: directory, mode: .development)
        let data = try BusKeys.load(.data, from: directory, mode: .development)
        #expect(edge.serverKeys[.data] == [data.own.publicKey])
        #expect(data.allowed.entries[edge.own.publicKey]?.service == .edge)
        #expect(data.allowed.entries.count == ServiceName.allCases.count)
        #expect(folder.mode("keys/curve/data.key") == 0o600)
        #expect(try BusKeys.load(.edge, from: directory, mode: .development) == edge)
    }

    @Test("Production refuses keys that were made in development, and missing ones")
    func production() throws {
        let folder = try Folder()
        let directory = try DataDirectory(path: folder.path)
        let missing = try #require(throws: StartFailure.self) {
            try BusKeys.load(.data, from: directory, mode: .production)
        }
        #expect(missing.status == .configuration)
        #expect(missing.message.contains("data.key"))
        _ = try BusKeys.load(.data, from: directory, mode: .development)
        let made = try #require(throws: StartFailure.self) {
            try BusKeys.load(.data, from: directory, mode: .production)
        }
        #expect(made.message.contains("made for development"))
    }

    @Test("A secret that others may read is refused")
    func mode() throws {
        let folder = try Folder()
        let directory = try DataDirectory(path: folder.path)
        let keys = try BusKeys.load(.data, from: directory, mode: .development)
        try folder.write("keys/curve/data.key", keys.own.secretKey, mode: 0o644)
        let failure = try #require(throws: StartFailure.self) {
            try BusKeys.load(.data, from: directory, mode: .development)
        }
        #expect(failure.message.contains("0600"))
    }
}

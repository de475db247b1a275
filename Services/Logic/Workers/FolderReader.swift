// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletServiceKit

/// Names and states of files.
enum FolderReader {
    /// A number that is another one when a file of these has changed: names, sizes, times. Folders are read as deeply as
    /// they go, each once though links lead to it again, without what begins with a dot, caches and packages.
    static func signature(of paths: [String], filesMax: Int) -> UInt64 {
        var hasher = Hasher()
        var pending = Array(paths.reversed())
        var files = 0
        var folders: Set<FolderIdentity> = []
        while let path = pending.popLast(), files < filesMax {
            var status = stat()
            guard stat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                guard folders.insert(FolderIdentity(status)).inserted else { continue }
                for name in PosixFile.names(in: path).sorted(by: >)
                where !name.hasPrefix(".") && name != "node_modules" && name != "__pycache__" {
                    pending.append("\(path)/\(name)")
                }
                continue
            }
            files += 1
            hasher.combine(path)
            hasher.combine(status.st_size)
            hasher.combine(status.st_ino)
            hasher.combine(status.st_mtim.tv_sec)
            hasher.combine(status.st_mtim.tv_nsec)
        }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}

/// What makes two paths the same folder.
struct FolderIdentity: Hashable {
    private let device: UInt64
    private let number: UInt64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
    }

    /// Nil when the path leads to no folder.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
        self.init(status)
    }
}

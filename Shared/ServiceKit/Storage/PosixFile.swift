// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The few file operations that a start needs, with the path in every error.
package enum PosixFile {
    package struct Failure: Error, Sendable, CustomStringConvertible {
        package let path: String
        package let number: Int32
        package let call: String

        package init(path: String, number: Int32, call: String) {
            self.path = path
            self.number = number
            self.call = call
        }

        package var description: String { "\(path): \(call): \(PosixFile.text(of: number))" }
    }

    /// The system's words for an error number.
    package static func text(of number: Int32) -> String {
        guard let text = strerror(number) else { return "error \(number)" }
        return String(cString: text)
    }

    package static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    /// The whole file as UTF-8 text; nil if there is none. Throws if it is longer than `bytesMax`.
    package static func read(_ path: String, bytesMax: Int) throws(Failure) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw Failure(path: path, number: errno, call: "open")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(path: path, number: errno, call: "read")
            }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= bytesMax else { throw Failure(path: path, number: EFBIG, call: "read") }
        }
    }

    /// Replaces a file in one step, so that a reader sees the old text or the new.
    package static func replace(_ path: String, with text: String, mode: UInt32 = 0o600) throws(Failure) {
        // A name of its own: two threads of one process may write at once.
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw Failure(path: temporary, number: errno, call: "open") }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                let failure = Failure(path: temporary, number: errno, call: "write")
                close(descriptor)
                unlink(temporary)
                throw failure
            }
            rest = rest.dropFirst(count)
        }
        close(descriptor)
        guard Glibc.rename(temporary, path) == 0 else { throw Failure(path: path, number: errno, call: "rename") }
    }

    /// Removes a file; one that is not there is no error.
    package static func remove(_ path: String) throws(Failure) {
        guard unlink(path) == 0 || errno == ENOENT else { throw Failure(path: path, number: errno, call: "unlink") }
    }

    /// Removes a file, or a folder with all that is in it; links are removed, not followed. What is not there is no error.
    package static func removeTree(_ path: String) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
        for name in names(in: path) { try removeTree("\(path)/\(name)") }
        guard rmdir(path) == 0 else { throw Failure(path: path, number: errno, call: "rmdir") }
    }

    /// Writes at the end of a file that is there, which keeps its owner.
    package static func append(_ text: String, to path: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(path: path, number: errno, call: "open") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw Failure(path: path, number: errno, call: "write")
        }
    }

    package static func rename(_ path: String, to other: String) throws(Failure) {
        guard Glibc.rename(path, other) == 0 else { throw Failure(path: path, number: errno, call: "rename") }
    }

    /// Whether a user may use what stands in a folder, by the folder's owner and mode; groups of a user are not looked at.
    package static func isSearchable(_ path: String, by user: SystemUser) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        let bit: mode_t =
            status.st_uid == user.number ? S_IXUSR : status.st_gid == user.group ? S_IXGRP : S_IXOTH
        return status.st_mode & bit != 0
    }

    /// The path without symbolic links, `.` and `..`; nil for none that is there.
    package static func resolved(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
    }

    /// What a symbolic link says; nil for none.
    package static func linkTarget(_ path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// Makes a folder and those above it; an existing one is left as it is.
    package static func makeFolder(_ path: String, mode: UInt32) throws(Failure) {
        if isFolder(path) { return }
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try makeFolder(String(path[..<slash]), mode: 0o755)
        }
        guard mkdir(path, mode) == 0 || errno == EEXIST else {
            throw Failure(path: path, number: errno, call: "mkdir")
        }
    }

    /// What stands in a folder, without `.` and `..`, in no order; empty when it cannot be read.
    package static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Makes a folder of a new name that begins with `prefix`, for this user alone.
    package static func makeTemporaryFolder(_ prefix: String) throws(Failure) -> String {
        var template = Array("\(prefix)XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { throw Failure(path: prefix, number: errno, call: "mkdtemp") }
        return String(cString: path)
    }

    package static var workingDirectory: String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    /// `path` from the root on; a relative one begins at `base`.
    package static func absolute(_ path: String, from base: String = workingDirectory) -> String {
        if path.hasPrefix("/") { return path }
        if path == "." { return base }
        return base + "/" + (path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
    }
}

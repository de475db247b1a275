// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import NIOPosix

/// A file of the site, ready to be sent.
struct SiteFile: Sendable {
    let path: String
    let size: Int
    let contentType: String
    /// Changes when the file does: its size and time of change.
    let entityTag: String
    /// All of it, where it was asked for and is small.
    var content: ByteBuffer?
}

/// Finds the application's static files below one folder.
struct StaticSite: Sendable {
    /// Absolute; nil serves nothing.
    let root: String?
    let pool: NIOThreadPool

    /// The file that a decoded path stands for: itself, or the `index.html` of a folder. Names that begin with a dot are
    /// not served, and nothing outside the folder, whatever links say. Blocks: runs on the pool.
    ///
    /// - Parameter reading: brings the content of a small file along, so that one visit to the pool is enough for it.
    func find(_ path: String, reading: Bool) async -> SiteFile? {
        guard let root else { return nil }
        return try? await pool.runIfActive {
            guard var file = Self.find(path, root: root) else { return nil }
            if reading { file.content = FileWriter.whole(file) }
            return file
        }
    }

    static func find(_ path: String, root: String) -> SiteFile? {
        let parts = path.split(separator: "/")
        guard parts.allSatisfy({ !$0.hasPrefix(".") && !$0.utf8.contains(0) }) else { return nil }
        var full = ([Substring(root)] + parts).joined(separator: "/")
        guard var facts = status(full) else { return nil }
        if facts.st_mode & S_IFMT == S_IFDIR {
            full += "/index.html"
            guard let index = status(full) else { return nil }
            facts = index
        } else if path.hasSuffix("/") {
            return nil
        }
        guard facts.st_mode & S_IFMT == S_IFREG, let real = realPath(full), let realRoot = realPath(root),
            real.hasPrefix(realRoot + "/")
        else { return nil }
        let time = facts.st_mtim
        let tag = [Int(facts.st_size), Int(time.tv_sec), Int(time.tv_nsec)].map { String($0, radix: 36) }
        return SiteFile(
            path: real, size: Int(facts.st_size), contentType: ContentType.of(real),
            entityTag: "\"\(tag.joined(separator: "-"))\"")
    }

    private static func status(_ path: String) -> stat? {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts : nil
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

/// Media types of a site's files by their extension.
enum ContentType {
    private static let types: [String: String] = [
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
        "json": "application/json", "map": "application/json", "webmanifest": "application/manifest+json",
        "txt": "text/plain; charset=utf-8", "md": "text/markdown; charset=utf-8", "csv": "text/csv; charset=utf-8",
        "xml": "application/xml", "svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg",
        "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif", "ico": "image/x-icon",
        "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf", "wasm": "application/wasm",
        "pdf": "application/pdf", "mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg", "zip": "application/zip",
    ]

    static func of(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: ".") else { return "application/octet-stream" }
        return types[name[name.index(after: dot)...].lowercased()] ?? "application/octet-stream"
    }
}

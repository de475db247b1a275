// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Testing

@testable import MartletEdge

/// Which files of a site are served.
@Suite("Edge: site")
struct SiteTests {
    @Test("Files and folders with an index are served; nothing hidden, nothing outside")
    func find() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-site-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let root = folder.appendingPathComponent("site")
        try FileManager.default.createDirectory(
            at: root.appendingPathComponent("docs"), withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            at: root.appendingPathComponent(".git"), withIntermediateDirectories: true)
        for path in ["site/index.html", "site/a b.CSS", "site/docs/index.html", "site/.env", "site/.git/x", "secret"] {
            try Data("x".utf8).write(to: folder.appendingPathComponent(path))
        }
        try FileManager.default.createSymbolicLink(
            at: root.appendingPathComponent("link"), withDestinationURL: folder.appendingPathComponent("secret"))
        func type(_ path: String) -> String? { StaticSite.find(path, root: root.path)?.contentType }

        for html in ["/", "/index.html", "/docs", "/docs/", "//docs"] { #expect(type(html) == "text/html; charset=utf-8") }
        #expect(type("/a b.CSS") == "text/css; charset=utf-8")
        for none in [
            "/.env", "/.git/x", "/../secret", "/docs/../../secret", "/link", "/nothing", "/index.html/", "/a\0b",
            "/docs/nothing",
        ] {
            #expect(type(none) == nil, "\(none) is served")
        }
    }

    @Test("A small file is read at once, a large one and one that has changed are not")
    func whole() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-site-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        func file(_ count: Int) throws -> SiteFile {
            try Data(repeating: 0x61, count: count).write(to: root.appendingPathComponent("a.txt"))
            return try #require(StaticSite.find("/a.txt", root: root.path))
        }
        for count in [0, 1, FileWriter.pieceBytes] {
            #expect(FileWriter.whole(try file(count))?.readableBytes == count)
        }
        #expect(FileWriter.whole(try file(FileWriter.pieceBytes + 1)) == nil)
        let before = try file(5)
        _ = try file(6)
        #expect(FileWriter.whole(before) == nil)
        _ = try file(4)
        #expect(FileWriter.whole(before) == nil)
        try FileManager.default.removeItem(at: root.appendingPathComponent("a.txt"))
        #expect(FileWriter.whole(before) == nil)
    }

    @Test("The entity tag changes with the file")
    func tags() throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-site-\(UUID())")
        defer { try? FileManager.default.removeItem(at: root) }
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let file = root.appendingPathComponent("a.txt")
        try Data("one".utf8).write(to: file)
        let first = StaticSite.find("/a.txt", root: root.path)
        try Data("other".utf8).write(to: file)
        let second = StaticSite.find("/a.txt", root: root.path)
        #expect(first?.size == 3 && second?.size == 5)
        #expect(first?.entityTag != second?.entityTag)
    }
}

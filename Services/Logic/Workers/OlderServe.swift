// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON
internal import MartletServiceKit

/// Functions that import `serve` of Deno's older standard library listen on a port of their own, so nobody would find
/// them. An import map puts `Deno.serve` in its place (D36); it holds the project's own map too, as Deno takes one.
enum OlderServe {
    private static let begin = "https://deno.land/std"
    private static let end = "/http/server.ts"
    private static let replacement =
        "export const serve=(h,o={})=>Deno.serve({signal:o.signal,onError:o.onError,onListen:o.onListen},h).finished;"

    /// Source files that are looked through, and their length.
    private static let filesMax = 500
    private static let fileBytesMax = 1 << 20

    /// The import map as a URL, if a file of these folders needs it. `map` is the import map or `deno.json` that would hold
    /// otherwise.
    static func importMap(for folders: [String], extending map: String?) -> String? {
        let addresses = addresses(in: folders)
        guard !addresses.isEmpty else { return nil }
        var document = JSONObject()
        if let map, let text = try? PosixFile.read(map, bytesMax: fileBytesMax) {
            // A file with comments is none that can be extended here.
            guard let own = (try? JSONValue(parsing: text))?.objectValue else { return nil }
            let folder = map.lastIndex(of: "/").map { String(map[..<$0]) } ?? "/"
            if let imports = own["imports"]?.objectValue { document["imports"] = .object(absolute(imports, folder)) }
            if let scopes = own["scopes"]?.objectValue {
                document["scopes"] = .object(
                    JSONObject(
                        scopes.members.map { key, value in
                            (address(key, folder), .object(absolute(value.objectValue ?? JSONObject(), folder)))
                        }))
            }
        }
        var imports = document["imports"]?.objectValue ?? JSONObject()
        let url = "data:text/javascript;base64," + Base64.encode(Array(replacement.utf8))
        for address in addresses.sorted() where imports[address] == nil { imports[address] = .string(url) }
        document["imports"] = .object(imports)
        return "data:application/json;base64," + Base64.encode(Array(document.text.utf8))
    }

    /// The addresses of the older `serve` that stand in sources.
    static func addresses(in folders: [String]) -> Set<String> {
        var found: Set<String> = []
        var files = 0
        var pending = folders
        var seen: Set<FolderIdentity> = []
        while let path = pending.popLast(), files < filesMax {
            if let folder = FolderIdentity(path) {
                guard seen.insert(folder).inserted else { continue }
                for name in PosixFile.names(in: path) where !name.hasPrefix(".") && name != "node_modules" {
                    pending.append("\(path)/\(name)")
                }
                continue
            }
            guard [".ts", ".tsx", ".js", ".mjs", ".json"].contains(where: path.hasSuffix) else { continue }
            files += 1
            guard let text = try? PosixFile.read(path, bytesMax: fileBytesMax) else { continue }
            found.formUnion(addresses(in: text))
        }
        return found
    }

    static func addresses(in text: String) -> Set<String> {
        var found: Set<String> = []
        for piece in text.split(whereSeparator: { $0 == "\"" || $0 == "'" })
        where piece.hasPrefix(begin) && piece.hasSuffix(end) && !piece.contains(where: \.isWhitespace) {
            found.insert(String(piece))
        }
        return found
    }

    private static func absolute(_ imports: JSONObject, _ folder: String) -> JSONObject {
        JSONObject(
            imports.members.map { key, value in
                (address(key, folder), value.stringValue.map { .string(address($0, folder)) } ?? value)
            })
    }

    /// A path of the map's folder as a URL; anything else as it is.
    private static func address(_ text: String, _ folder: String) -> String {
        if text.hasPrefix("/") { return "file://" + escaped(text) }
        guard text.hasPrefix("./") || text.hasPrefix("../") else { return text }
        return "file://" + escaped(folder) + "/" + text
    }

    private static func escaped(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "."), UInt8(ascii: "~"), UInt8(ascii: "@"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }
}

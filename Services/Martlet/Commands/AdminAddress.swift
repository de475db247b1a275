// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire

/// The edge of the suite that runs on the data directory, asked as `service_role`.
struct AdminAddress {
    let settings: Settings
    /// The command that asks, for its messages.
    let command: String
    /// Where its routes begin.
    let prefix: String

    private static let timeout = Duration.seconds(10)
    /// A thousand jobs with the longest of errors, and more than one job with the largest body.
    private static let answerBytesMax = 16 << 20

    func ask(_ method: String, _ path: String) throws(StartFailure) -> JSONValue {
        let directory = DataDirectory.path(settings)
        let listeners: JSONObject
        do {
            listeners =
                PosixFile.isFolder(directory) ? try PortsFile(DataDirectory(path: directory)).read() : JSONObject()
        } catch { throw StartFailure(.unavailable, "run/ports.json: \(error)") }
        guard let address = listeners[ServiceName.edge.rawValue]?["http"]?.stringValue else {
            throw StartFailure(.unavailable, "no suite runs on \(directory)")
        }
        let key = try KeyStore(settings).projectKeys().serviceRole
        let edge = LocalHTTP(address: address, timeout: Self.timeout, answerBytesMax: Self.answerBytesMax)
        let answer = edge.exchange(
            method, prefix + path, fields: [("apikey", key), ("Authorization", "Bearer \(key)")])
        guard let answer, let (status, body) = LocalHTTP.parse(answer), let value = try? JSONValue(parsing: body) else {
            throw StartFailure(.unavailable, "the edge at \(address) does not answer")
        }
        guard (200..<300).contains(status) else {
            throw StartFailure(
                status == 503 ? .unavailable : .usage,
                "\(command): \(value["message"]?.stringValue ?? "status \(status)")")
        }
        return value
    }

    /// Takes `flag` and its value out of `arguments`. The value is one word, as it stands in an address.
    static func take(
        _ flag: String, of command: String, from arguments: inout [String]
    ) throws(StartFailure) -> String? {
        guard let place = arguments.firstIndex(where: { $0 == flag || $0.hasPrefix("\(flag)=") }) else { return nil }
        var value = String(arguments.remove(at: place).dropFirst(flag.count + 1))
        if value.isEmpty, place < arguments.count { value = arguments.remove(at: place) }
        let isPlain = value.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                || byte < 0x80 && Character(Unicode.Scalar(byte)).isLetter
                || byte < 0x80 && Character(Unicode.Scalar(byte)).isNumber
        }
        guard !value.isEmpty, isPlain else { throw StartFailure(.usage, "\(command): \(flag): needs a value") }
        return value
    }

    /// Takes the id that comes next. What no id holds would mean something else in an address.
    static func takeID(
        _ word: String, of command: String, from arguments: inout [String]
    ) throws(StartFailure) -> String {
        guard let id = arguments.first, !id.hasPrefix("-") else {
            throw StartFailure(.usage, "\(command): \(word): expected the id of a \(command.dropLast())")
        }
        guard id.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || Character(Unicode.Scalar($0)).isHexDigit }) else {
            throw StartFailure(.usage, "\(command): \(id): no id of a \(command.dropLast())")
        }
        arguments.removeFirst()
        return id
    }
}

// SPDX-License-Identifier: Apache-2.0

package import MartletTracing

/// Where traces go. The names of OpenTelemetry's specification are aliases.
package struct TraceSettings: Sendable {
    package let endpoint = Setting<String?>(
        "martlet.otlp.endpoint", nil, standardNames: ["OTEL_EXPORTER_OTLP_ENDPOINT"],
        "A collector that takes traces by OTLP over HTTP, `http://collector:4318`; `/v1/traces` is added. Without it nothing is recorded."
    ) { $0.flatMap(fault) }
    package let headers = Setting<[String]>(
        "martlet.otlp.headers", [], range: "`name=value`, values percent-encoded", isSecret: true,
        standardNames: ["OTEL_EXPORTER_OTLP_HEADERS"], "Header fields that the collector asks for, such as a key."
    ) { CollectorHeaders.read($0) == nil ? "expected name=value, separated by commas" : nil }
    package let encoding = Setting<SpanEncoding>(
        "martlet.otlp.protocol", .protobuf, standardNames: ["OTEL_EXPORTER_OTLP_PROTOCOL"],
        "How spans are written. gRPC is not spoken.")
    package let samplingRatio = Setting<SamplingRatio>(
        "martlet.otlp.sampling_ratio", .all, range: "0 to 1", standardNames: ["OTEL_TRACES_SAMPLER_ARG"],
        "Share of the traces that begin here that is recorded. A caller's `traceparent` decides for its own.")
    package let servicePrefix = Setting<String>(
        "martlet.otlp.service_prefix", "martlet",
        "Begins `service.name`: `martlet-edge`."
    ) { (1...64).contains($0.utf8.count) ? nil : "expected 1 to 64 bytes" }
    package let certificates = Setting<String?>(
        "martlet.otlp.ca_file", nil, "Certificates that are trusted instead of the system's, in PEM.")
    package let timeout = Setting<Duration>(
        "martlet.otlp.timeout", .seconds(10), in: .milliseconds(100)...(.seconds(60)),
        "How long the collector may take for one request.")

    private static let fault: @Sendable (String) -> String? = { text in
        // What stands before an @ would be a secret in a key that is not one.
        text.contains("@") || text.contains("?") || text.contains("#")
            ? "expected a URL without user, query and fragment" : NetworkText.urlFault(text)
    }
}

extension SpanEncoding: SettingWord {}

extension SamplingRatio: SettingValue {
    package static var settingType: String { "number" }
    package var settingText: String { value == value.rounded() ? String(Int(value)) : String(value) }

    package init(setting input: SettingInput) throws(SettingFault) {
        let number: Double? =
            switch input {
            case .toml(.integer(let value)): Double(value)
            case .toml(.float(let value)): value
            case .text(let text): Double(text)
            case .toml: nil
            }
        guard let ratio = number.flatMap({ SamplingRatio($0) }) else { throw SettingFault("expected 0 to 1") }
        self = ratio
    }
}

/// `name=value` as in W3C's Baggage: the form of OTEL_EXPORTER_OTLP_HEADERS.
package enum CollectorHeaders {
    /// Nil when one of them is not well formed.
    package static func read(_ texts: [String]) -> [(name: String, value: String)]? {
        var headers: [(name: String, value: String)] = []
        for text in texts {
            guard let equals = text.firstIndex(of: "=") else { return nil }
            let name = String(text[..<equals]).trimmingSpaces()
            guard !name.isEmpty, name.utf8.allSatisfy(isToken),
                let value = decoded(String(text[text.index(after: equals)...]).trimmingSpaces()),
                value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
            else { return nil }
            headers.append((name, value))
        }
        return headers
    }

    /// RFC 9110, section 5.6.2.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(code)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

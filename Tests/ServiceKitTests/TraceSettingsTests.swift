// SPDX-License-Identifier: Apache-2.0

import MartletServiceKit
import MartletTracing
import Testing

@Suite("Settings of traces")
struct TraceSettingsTests {
    @Test("OpenTelemetry's own variables count, ours count before them, and an empty one is none")
    func standardNames() throws {
        let settings = try resolve(environment: [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
            "OTEL_TRACES_SAMPLER_ARG": "0.25", "OTEL_EXPORTER_OTLP_HEADERS": "a=1,b=x%20y",
        ])
        #expect(settings[\.traces.endpoint] == "https://collector.example:4318")
        #expect(settings[\.traces.encoding] == .json)
        #expect(settings[\.traces.samplingRatio].value == 0.25)
        #expect(CollectorHeaders.read(settings[\.traces.headers])?.map(\.value) == ["1", "x y"])
        #expect(!settings.report.contains("x%20y"), "Headers are secrets")
        let both = ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1", "MARTLET_OTLP_ENDPOINT": "http://a:1"]
        #expect(try resolve(environment: both)[\.traces.endpoint] == "http://a:1")
        #expect(try resolve(environment: ["OTEL_EXPORTER_OTLP_ENDPOINT": ""])[\.traces.endpoint] == nil)
        #expect(try resolve(environment: [:])[\.traces.samplingRatio] == .all)
    }

    @Test("Headers can stand in a file of their own")
    func headersInFile() throws {
        let folder = try Folder()
        try folder.write("headers", "x-key=abc\n")
        let settings = try resolve(environment: ["MARTLET_OTLP_HEADERS_FILE": folder.path + "/headers"])
        #expect(CollectorHeaders.read(settings[\.traces.headers])?.map(\.name) == ["x-key"])
        #expect(settings.unusedVariables.isEmpty)
    }

    @Test(
        "What cannot be used stops the start, and the message shows no header",
        arguments: [
            ("MARTLET_OTLP_ENDPOINT", "collector:4318"), ("MARTLET_OTLP_ENDPOINT", "http://me:secret@collector"),
            ("MARTLET_OTLP_ENDPOINT", "http://collector?key=secret"), ("MARTLET_OTLP_HEADERS", "secret"),
            ("MARTLET_OTLP_HEADERS", "a b=secret"), ("MARTLET_OTLP_HEADERS", "a=secret%0d%0ab: c"),
            ("MARTLET_OTLP_HEADERS", "a=secret%zz"), ("MARTLET_OTLP_PROTOCOL", "grpc"),
            ("MARTLET_OTLP_SAMPLING_RATIO", "1.5"), ("MARTLET_OTLP_SAMPLING_RATIO", "nan"),
            ("MARTLET_OTLP_SERVICE_PREFIX", ""),
        ])
    func faults(name: String, value: String) throws {
        let error = #expect(throws: SettingsError.self) { try resolve(environment: [name: value]) }
        #expect(error?.problems.count == 1)
        #expect(error?.problems.first?.contains(name) == true)
        #expect(error?.problems.first?.contains("secret") == false)
    }
}

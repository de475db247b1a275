// SPDX-License-Identifier: Apache-2.0

/// Where spans go, and how.
package struct Collector: Sendable {
    /// Longest answer that is read, in bytes; the rest is dropped.
    static let answerBytesMax = 64 << 10
    static let path = "/v1/traces"

    /// With its path: `http://collector:4318/v1/traces`.
    package let url: String
    package let encoding: SpanEncoding
    /// Secrets: they never stand in a log.
    let headers: [(name: String, value: String)]
    /// Certificates that are trusted instead of the system's, in PEM; a path.
    let certificates: String?
    let userAgent: String

    /// `endpoint`: http or https, without `/v1/traces`.
    package init(
        endpoint: String, encoding: SpanEncoding, headers: [(name: String, value: String)], certificates: String?,
        version: String
    ) {
        url = (endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint) + Self.path
        self.encoding = encoding
        self.headers = headers
        self.certificates = certificates
        userAgent = "Martlet-OTLP-Exporter/\(version)"
    }
}

extension SpanExporter {
    /// Opens libcurl and starts the thread; nothing is sent yet.
    package convenience init(
        to collector: Collector, sampling: SamplingRatio, limits: SpanLimits = SpanLimits(),
        observer: @escaping @Sendable (ExporterObservation) -> Void
    ) throws(Fault) {
        guard let library = CurlLibrary.shared else { throw Fault(reason: "libcurl.so.4 cannot be opened") }
        try self.init(
            encoding: collector.encoding, sampling: sampling, limits: limits, observer: observer,
            transport: { CurlTransport(library, collector) })
    }
}

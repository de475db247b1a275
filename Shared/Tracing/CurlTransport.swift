// SPDX-License-Identifier: Apache-2.0

internal import CCurlLate
internal import Glibc

/// libcurl, opened once for the process.
@safe final class CurlLibrary: Sendable {
    /// Nil when it is not installed.
    static let shared = CurlLibrary()

    /// Never written after `init`, never freed.
    nonisolated(unsafe) let table: UnsafePointer<martlet_curl_library>

    private init?() {
        let memory = UnsafeMutablePointer<martlet_curl_library>.allocate(capacity: 1)
        unsafe memory.initialize(to: martlet_curl_library())
        guard unsafe martlet_curl_load(memory) == 0 else {
            unsafe memory.deallocate()
            return nil
        }
        unsafe table = UnsafePointer(memory)
    }
}

/// Requests by libcurl: HTTP/1.1, TLS, proxies of the environment. The connection is kept between requests.
///
/// Not `Sendable`: an easy handle is for one thread at a time (https://curl.se/libcurl/c/threadsafe.html).
@safe final class CurlTransport: SpanTransport {
    /// How long a connection may take to come about.
    private static let connectMilliseconds = 5_000

    private let table: UnsafePointer<martlet_curl_library>
    private let collector: Collector
    /// Made with the first request; a failure to make one is that request's failure.
    private var handle: UnsafeMutableRawPointer?

    init(_ library: CurlLibrary, _ collector: Collector) {
        unsafe table = library.table
        self.collector = collector
    }

    deinit {
        if let handle = unsafe handle { unsafe martlet_late_cleanup(table, handle) }
    }

    func send(_ body: [UInt8], timeout: Duration, isToStop: @escaping () -> Bool) -> TransportOutcome {
        if unsafe handle == nil { unsafe handle = martlet_late_init(table) }
        guard let curl = unsafe handle else { return .failed("no memory") }
        // Keeps live connections; everything else is set anew.
        unsafe martlet_late_reset(table, curl)
        let exchange = CurlExchange(isToStop)
        let context = unsafe Unmanaged.passUnretained(exchange).toOpaque()
        set(CURLOPT_URL, collector.url)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        set(CURLOPT_USERAGENT, collector.userAgent)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, Self.connectMilliseconds)
        let (seconds, attoseconds) = timeout.components
        set(CURLOPT_TIMEOUT_MS, max(1, Int(seconds * 1_000 + attoseconds / 1_000_000_000_000_000)))
        if let certificates = collector.certificates { set(CURLOPT_CAINFO, certificates) }
        guard let fields = unsafe fieldList() else { return .failed("no memory") }
        defer { unsafe martlet_late_free(table, fields) }
        unsafe martlet_late_set_pointer(table, curl, CURLOPT_HTTPHEADER, fields)
        unsafe martlet_late_set_writer(table, curl) { buffer, size, count, context in
            guard let buffer = unsafe buffer, let context = unsafe context else { return 0 }
            unsafe CurlExchange.of(context).hear(buffer, size * count)
            return size * count
        }
        unsafe martlet_late_set_pointer(table, curl, CURLOPT_WRITEDATA, context)
        unsafe martlet_late_set_progress(table, curl) { context, _, _, _, _ in
            guard let context = unsafe context else { return 0 }
            return unsafe CurlExchange.of(context).isToStop() ? 1 : 0
        }
        unsafe martlet_late_set_pointer(table, curl, CURLOPT_XFERINFODATA, context)
        set(CURLOPT_NOPROGRESS, 0)
        set(CURLOPT_POST, 1)
        set(CURLOPT_POSTFIELDSIZE, body.count)
        let result = unsafe body.withUnsafeBytes { bytes in
            unsafe martlet_late_set_pointer(table, curl, CURLOPT_POSTFIELDS, bytes.baseAddress)
            return unsafe martlet_late_perform(table, curl)
        }
        return withExtendedLifetime(exchange) {
            guard result == CURLE_OK else {
                return .failed(unsafe String(cString: martlet_late_words(table, result)))
            }
            return .answered(
                status: unsafe martlet_late_response_code(table, curl),
                retryAfterSeconds: unsafe martlet_late_retry_after(table, curl), body: exchange.answer)
        }
    }

    private func fieldList() -> UnsafeMutablePointer<curl_slist>? {
        // Without the last one libcurl would wait for the collector's leave to send a large body.
        let own = [("Content-Type", collector.encoding.mediaType), ("Expect", "")]
        var list: UnsafeMutablePointer<curl_slist>?
        for (name, value) in own + collector.headers {
            // A field without a value ends in a semicolon there; with a colon it is left out.
            let line = value.isEmpty && name != "Expect" ? "\(name);" : "\(name): \(value)"
            guard let longer = unsafe martlet_late_append(table, list, line) else {
                unsafe martlet_late_free(table, list)
                return nil
            }
            unsafe list = longer
        }
        return unsafe list
    }

    private func set(_ option: CURLoption, _ value: Int) {
        unsafe martlet_late_set_long(table, handle, option, value)
    }

    /// libcurl copies the text.
    private func set(_ option: CURLoption, _ value: String) {
        unsafe martlet_late_set_text(table, handle, option, value)
    }
}

/// One request on its way, as the callbacks see it.
@safe private final class CurlExchange {
    let isToStop: () -> Bool
    private(set) var answer: [UInt8] = []

    init(_ isToStop: @escaping () -> Bool) { self.isToStop = isToStop }

    static func of(_ context: UnsafeMutableRawPointer) -> CurlExchange {
        unsafe Unmanaged<CurlExchange>.fromOpaque(context).takeUnretainedValue()
    }

    func hear(_ buffer: UnsafeMutablePointer<CChar>, _ count: Int) {
        let room = Collector.answerBytesMax - answer.count
        unsafe answer += UnsafeRawBufferPointer(start: buffer, count: min(count, max(0, room)))
    }
}

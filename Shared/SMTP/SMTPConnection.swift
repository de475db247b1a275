// SPDX-License-Identifier: Apache-2.0

internal import CCurl
internal import Glibc
internal import Synchronization

/// A client of one SMTP server (RFC 5321) on libcurl. It blocks, so it belongs on a thread of its own; the connection is
/// kept between mails.
///
/// Not `Sendable`: an easy handle is for one thread at a time (https://curl.se/libcurl/c/threadsafe.html).
@safe package final class SMTPConnection {
    /// How long a connection may take to come about.
    private static let connectMilliseconds = 10_000
    /// Of the server's words, in bytes, for a log line.
    private static let wordsMax = 200
    /// Authentication required: the mail is not at fault, our configuration is.
    private static let authenticationRequired = 530

    /// Once for the process, before any handle is made.
    private static let isInitialised: Bool = martlet_curl_global_init() == CURLE_OK

    /// `CURL *`.
    private let handle: UnsafeMutableRawPointer
    private let server: SMTPServer
    private let stop: SMTPStop

    /// - Returns: nil when there is no memory for it.
    package init?(_ server: SMTPServer, stop: SMTPStop) {
        guard Self.isInitialised, let handle = unsafe curl_easy_init() else { return nil }
        unsafe self.handle = handle
        self.server = server
        self.stop = stop
    }

    deinit { unsafe curl_easy_cleanup(handle) }

    /// Sends one mail to one recipient.
    ///
    /// - Parameter message: head and body with CRLF line ends; lines that begin with a dot are libcurl's business.
    package func send(from: String, to: String, message: [UInt8]) -> SMTPOutcome {
        let curl = unsafe handle
        // Keeps live connections and the session cache; everything else is set anew.
        unsafe curl_easy_reset(curl)
        let exchange = SMTPExchange(message: message, stop: stop)
        let context = unsafe Unmanaged.passUnretained(exchange).toOpaque()
        set(CURLOPT_URL, server.url)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_UPLOAD, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, Self.connectMilliseconds)
        let (seconds, attoseconds) = server.timeout.components
        set(CURLOPT_TIMEOUT_MS, Int(seconds * 1_000 + attoseconds / 1_000_000_000_000_000))
        if server.security == .startTLS { set(CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue)) }
        if let certificates = server.certificates { set(CURLOPT_CAINFO, certificates) }
        if let user = server.user {
            set(CURLOPT_USERNAME, user)
            set(CURLOPT_PASSWORD, server.password ?? "")
        }
        set(CURLOPT_MAIL_FROM, "<\(from)>")
        guard let recipients = unsafe curl_slist_append(nil, "<\(to)>") else { return .failed("no memory") }
        defer { unsafe curl_slist_free_all(recipients) }
        _ = unsafe martlet_curl_set_list(curl, CURLOPT_MAIL_RCPT, recipients)
        // The callbacks run inside curl_easy_perform, on this thread; `exchange` outlives them.
        _ = unsafe martlet_curl_set_bytes(curl, CURLOPT_READFUNCTION) { buffer, size, count, context in
            guard let buffer = unsafe buffer, let context = unsafe context else { return 0 }
            return unsafe SMTPExchange.of(context).read(into: buffer, size * count)
        }
        _ = unsafe martlet_curl_set_pointer(curl, CURLOPT_READDATA, context)
        _ = unsafe martlet_curl_set_bytes(curl, CURLOPT_HEADERFUNCTION) { buffer, size, count, context in
            guard let buffer = unsafe buffer, let context = unsafe context else { return 0 }
            unsafe SMTPExchange.of(context).hear(buffer, size * count)
            return size * count
        }
        _ = unsafe martlet_curl_set_pointer(curl, CURLOPT_HEADERDATA, context)
        // The server's words come as a body too; without this libcurl prints them.
        _ = unsafe martlet_curl_set_bytes(curl, CURLOPT_WRITEFUNCTION) { _, size, count, _ in size * count }
        _ = unsafe martlet_curl_set_progress(curl) { context, _, _, _, _ in
            guard let context = unsafe context else { return 0 }
            return unsafe SMTPExchange.of(context).isToBeBroken ? 1 : 0
        }
        _ = unsafe martlet_curl_set_pointer(curl, CURLOPT_XFERINFODATA, context)
        set(CURLOPT_NOPROGRESS, 0)
        let result = unsafe curl_easy_perform(curl)
        let code = unsafe Int(martlet_curl_response_code(curl))
        return withExtendedLifetime(exchange) { outcome(result, code: code, exchange) }
    }

    private func outcome(_ result: CURLcode, code: Int, _ exchange: SMTPExchange) -> SMTPOutcome {
        if result == CURLE_OK { return .accepted }
        let reason = unsafe String(cString: curl_easy_strerror(result))
        let words = "\(reason): \(exchange.lastWords.prefix(Self.wordsMax))"
        // What the server said last was about the mail only if it refused sender, recipient, DATA or the mail itself.
        let isAboutMail = result == CURLE_SEND_ERROR || (result == CURLE_WEIRD_SERVER_REPLY && exchange.isHandedOver)
        if (500..<600).contains(code), isAboutMail, code != Self.authenticationRequired { return .refused(words) }
        if exchange.isHandedOver, code < 400 { return .unknown(words) }
        return .failed(words)
    }

    private func set(_ option: CURLoption, _ value: Int) {
        _ = unsafe martlet_curl_set_long(handle, option, value)
    }

    /// libcurl copies the text.
    private func set(_ option: CURLoption, _ value: String) {
        _ = unsafe martlet_curl_set_text(handle, option, value)
    }
}

/// Tells connections to leave what they can leave: set once, when the service stops.
package final class SMTPStop: Sendable {
    private let isSet = Atomic<Bool>(false)

    package init() {}
    package func set() { isSet.store(true, ordering: .relaxed) }
    var value: Bool { isSet.load(ordering: .relaxed) }
}

/// One mail on its way, as the callbacks see it.
@safe private final class SMTPExchange {
    private let message: [UInt8]
    private var offset = 0
    private let stop: SMTPStop
    /// Everything was handed over, the end included; the server may take the mail from now on.
    private(set) var isHandedOver = false
    /// The server's last line, without control characters.
    private(set) var lastWords = ""

    init(message: [UInt8], stop: SMTPStop) {
        self.message = message
        self.stop = stop
    }

    /// A mail that is half there can be left behind without harm.
    var isToBeBroken: Bool { stop.value && !isHandedOver }

    static func of(_ context: UnsafeMutableRawPointer) -> SMTPExchange {
        unsafe Unmanaged<SMTPExchange>.fromOpaque(context).takeUnretainedValue()
    }

    func read(into buffer: UnsafeMutablePointer<CChar>, _ room: Int) -> Int {
        let count = min(room, message.count - offset)
        guard count > 0 else {
            isHandedOver = true
            return 0
        }
        unsafe message.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe memcpy(buffer, base + offset, count)
        }
        offset += count
        return count
    }

    func hear(_ buffer: UnsafeMutablePointer<CChar>, _ count: Int) {
        let bytes = unsafe UnsafeRawBufferPointer(start: buffer, count: count).filter { $0 >= 0x20 && $0 != 0x7F }
        if !bytes.isEmpty { lastWords = String(decoding: bytes, as: UTF8.self) }
    }
}

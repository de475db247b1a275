// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON
internal import MartletServiceKit
internal import MartletWire
internal import NIOCore

/// `/functions/v1`: finds the function, holds its `verify_jwt`, passes the request on, and speaks for the platform when
/// the function does not (sections 1 to 3 of the functions contract).
struct FunctionRoute: Sendable {
    /// What answers below `/_admin/`.
    typealias Admin = @Sendable (InboundRequest, HTTPRequestHead) async -> OutboundReply

    let catalogue: FunctionCatalogue
    let calls: any FunctionCaller
    /// Nil until there is one: then it is a function that does not exist.
    var admin: Admin?

    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    private static let prefix = "/functions/v1"
    private static let adminName = "_admin"

    func answer(_ inbound: InboundRequest) async -> OutboundReply {
        guard let head = inbound.header.http else {
            return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no, message: "no HTTP head"))
        }
        let name = String(head.path.dropFirst().prefix { $0 != "/" })
        if name == Self.adminName, let admin { return await admin(inbound, head) }
        do throws(RouteFailure) {
            guard Self.methods.contains(head.method) else { throw .methodNotAllowed }
            guard !name.isEmpty else { throw .nameMissing }
            guard FunctionEntry.isName(name), let entry = catalogue.entry(name), entry.isPublic else {
                throw RouteFailure(.notFound)
            }
            if entry.verifiesJWT, head.method != "OPTIONS" { try Self.verify(inbound.header.principal, head) }
            let request = FunctionRequest(
                // The edge drops the body of an answer to HEAD.
                method: head.method == "HEAD" ? "GET" : head.method,
                target: head.path + (head.query.isEmpty ? "" : "?\(head.query)"),
                headers: Self.headers(inbound.header, head), body: inbound.payload,
                trace: inbound.header.trace)
            let response: FunctionResponse
            do throws(FunctionFailure) {
                response = try await calls.call(name, request, deadline: inbound.deadline)
            } catch {
                throw RouteFailure(error.code)
            }
            return OutboundReply(
                header: ReplyHeader(http: HTTPResponseHead(status: response.status, fields: response.headers)),
                payload: response.body)
        } catch {
            return error.reply
        }
    }

    /// The bearer has to be a token of the project; an opaque key in `apikey` counts as one (FN-05).
    private static func verify(
        _ principal: Principal, _ head: HTTPRequestHead
    ) throws(RouteFailure) {
        let authorization = head["authorization"]
        switch principal.tokenStatus {
        case .valid: return
        case .absent:
            throw authorization == nil ? .noAuthorization : .malformedToken
        case .invalid: break
        }
        switch principal.tokenError {
        case TokenFault.empty.word, TokenFault.crypto.word: throw .malformedToken
        case let word where word.hasPrefix("parts:"): throw .malformedToken
        case TokenFault.algorithm.word: throw .unsupportedAlgorithm
        default: throw .refusedToken(isSymmetric: isSymmetric(authorization ?? ""))
        }
    }

    /// Whether the token's head names an HMAC.
    private static func isSymmetric(_ authorization: String) -> Bool {
        let token = authorization.split(separator: " ").last ?? ""
        guard let bytes = Base64.decodeURL(token.prefix { $0 != "." }.utf8), let head = try? JSONValue(parsing: bytes)
        else { return false }
        return head.objectValue?["alg"]?.stringValue?.hasPrefix("HS") == true
    }

    private static let claimsField = "x-martlet-claims"
    private static let platformPrefix = "x-martlet-"

    /// What the function gets to see beside the client's own fields.
    private static func headers(
        _ header: RequestHeader, _ head: HTTPRequestHead
    ) -> [HTTPField] {
        // What says that the platform calls (`x-martlet-job-id` and the like) is for the platform alone.
        var fields = head.fields.filter { !$0.name.hasPrefix(platformPrefix) }
        fields.append(HTTPField("host", head["x-forwarded-host"] ?? "localhost"))
        fields.append(HTTPField("x-forwarded-prefix", prefix))
        fields.append(HTTPField("x-forwarded-for", header.principal.clientAddress))
        if let hops = head["x-martlet-hops"] { fields.append(HTTPField("x-martlet-hops", hops)) }
        if header.principal.tokenStatus == .valid, let claims = try? JSONValue(parsing: header.principal.claims) {
            fields.append(HTTPField(claimsField, ascii(claims.text)))
        }
        return fields
    }

    /// JSON text that fits into a header field: what is not ASCII stands in strings alone, so escapes may take its place.
    static func ascii(_ json: String) -> String {
        var text = ""
        for unit in json.utf16 {
            if unit < 0x7F, let scalar = Unicode.Scalar(unit) {
                text.unicodeScalars.append(scalar)
            } else {
                let digits = String(unit, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return text
    }
}

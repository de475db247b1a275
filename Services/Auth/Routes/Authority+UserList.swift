// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

extension Authority {
    /// `GET /admin/users?page=&per_page=&filter=&sort=` (AU-240).
    func listUsers(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        _ = try await admin(request)
        let page = try UserPage(request, audience: audience(request))
        let (users, total) = try await database.reading(deadline: request.deadline) { session in
            let condition = page.condition(on: session.engine)
            let total = try session.query("select count(*) from users where \(condition)", page.parameters).first?[0]
            let users = try session.query(
                """
                select \(User.columnNames) from users where \(condition) \
                order by created_at \(page.direction), id \(page.direction) limit \(page.size) offset \(page.offset)
                """, page.parameters
            ).map(User.init)
            return (users, total?.integerValue ?? 0)
        }
        let body: JSONValue = [
            "users": .array(users.map { .object($0.document(identities: nil)) }), "aud": .string(page.audience),
        ]
        let fields = [HTTPField("x-total-count", String(total)), HTTPField("link", page.links(total: total))]
        return AuthReply(body, fields: fields)
    }
}

/// One page of the administrators' list.
private struct UserPage: Sendable {
    let audience: String
    let number: Int64
    let size: Int64
    let direction: String
    private let filter: String?

    init(_ request: AuthRequest, audience: String) throws(AuthError) {
        self.audience = audience
        number = try Self.number("page", request, 1)
        size = min(try Self.number("per_page", request, Int64(AuthLimits.pageDefault)), Int64(AuthLimits.pageMax))
        filter = request.query["filter"].flatMap { $0.isEmpty ? nil : $0 }
        switch request.query["sort"] ?? "" {
        case "", "created_at", "created_at desc": direction = "desc"
        case "created_at asc": direction = "asc"
        default: throw .validation("Bad Sort Parameters: only created_at asc or desc")
        }
    }

    var offset: Int64 { (number - 1) * size }

    var parameters: [SQLValue] {
        guard let filter else { return [.text(audience)] }
        var pattern = "%"
        for character in filter.lowercased() {
            if character == "%" || character == "_" || character == "\\" { pattern.append("\\") }
            pattern.append(character)
        }
        return [.text(audience), .text(pattern + "%")]
    }

    /// The filter is a part of the address, the number or the full name; `%` and `_` in it are plain characters.
    func condition(on engine: DatabaseEngine) -> String {
        let visible = "aud = $1 and state <> 'pending' and deleted_at is null"
        guard filter != nil else { return visible }
        let name =
            engine == .postgres
            ? "(user_metadata::jsonb ->> 'full_name')" : "json_extract(user_metadata, '$.full_name')"
        let columns = ["email", "phone", name].map { #"lower(\#($0)) like $2 escape '\'"# }
        return visible + " and (" + columns.joined(separator: " or ") + ")"
    }

    /// RFC 8288 links, as the client libraries parse them.
    func links(total: Int64) -> String {
        let last = max(1, (total + size - 1) / size)
        func link(_ page: Int64, _ relation: String) -> String {
            "</admin/users?page=\(page)&per_page=\(size)>; rel=\"\(relation)\""
        }
        return (number < last ? [link(number + 1, "next"), link(last, "last")] : [link(last, "last")])
            .joined(separator: ", ")
    }

    private static func number(_ name: String, _ request: AuthRequest, _ standard: Int64) throws(AuthError) -> Int64 {
        guard let text = request.query[name], !text.isEmpty else { return standard }
        guard let number = Int64(text), number >= 1, number <= 1_000_000_000 else {
            throw .validation("Bad Pagination Parameters: \(name) must be a positive number")
        }
        return number
    }
}

// SPDX-License-Identifier: Apache-2.0

package struct Policy: Sendable, Equatable {
    package enum Command: String, Sendable { case all, select, insert, update, delete }

    package var name: String
    package var isPermissive: Bool
    package var command: Command
    /// Roles it applies to; `public` means every role.
    package var roles: [String]
    /// PostgreSQL text of USING and WITH CHECK.
    package var using: String?
    package var withCheck: String?

    package init(
        name: String, isPermissive: Bool = true, command: Command = .all, roles: [String] = ["public"],
        using: String? = nil, withCheck: String? = nil
    ) {
        self.name = name
        self.isPermissive = isPermissive
        self.command = command
        self.roles = roles
        self.using = using
        self.withCheck = withCheck
    }
}

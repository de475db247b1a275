// SPDX-License-Identifier: Apache-2.0

/// Every configuration key, declared once. Reflection makes the list, so that a key cannot be missing from it;
/// `docs/configuration.md` is the same table as text.
package struct SettingsTable: Sendable {
    package static let shared = SettingsTable()

    package let process = ProcessSettings()
    package let bus = BusSettings()
    package let admin = AdminSettings()
    package let traces = TraceSettings()
    package let edge = EdgeSettings()
    package let auth = AuthSettings()
    package let data = DataSettings()
    package let notification = NotificationSettings()
    package let mail = MailSettings()
    package let logic = LogicSettings()

    /// One group of keys under its heading in the documentation.
    package struct Group: Sendable {
        package let title: String
        package let declarations: [any SettingDeclaration]
    }

    package var groups: [Group] {
        [
            Group(title: "Process", declarations: Self.declarations(of: process)),
            Group(title: "Bus", declarations: Self.declarations(of: bus)),
            Group(title: "Admin port", declarations: Self.declarations(of: admin)),
            Group(title: "Traces", declarations: Self.declarations(of: traces)),
            Group(title: "Edge", declarations: Self.declarations(of: edge)),
            Group(title: "Auth", declarations: Self.declarations(of: auth)),
            Group(title: "Data", declarations: Self.declarations(of: data)),
            Group(title: "Notification", declarations: Self.declarations(of: notification)),
            Group(title: "Mail", declarations: Self.declarations(of: mail)),
            Group(title: "Logic", declarations: Self.declarations(of: logic)),
        ]
    }

    package var all: [any SettingDeclaration] { groups.flatMap(\.declarations) }

    private static func declarations(of group: some Sendable) -> [any SettingDeclaration] {
        Mirror(reflecting: group).children.compactMap { $0.value as? any SettingDeclaration }
    }
}

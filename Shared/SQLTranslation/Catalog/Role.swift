// SPDX-License-Identifier: Apache-2.0

package struct Role: Sendable, Equatable {
    package var bypassesRowSecurity: Bool

    package init(bypassesRowSecurity: Bool = false) { self.bypassesRowSecurity = bypassesRowSecurity }
}

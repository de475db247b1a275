// SPDX-License-Identifier: Apache-2.0

/// The version of the whole suite; its parts are released together.
package enum MartletVersion {
    package static let current = "0.1.0"
}

// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// How many files and sockets this process may have open (`RLIMIT_NOFILE`).
///
/// Shells and service managers start programs with a soft limit of 1,024 for the sake of `select`, which we do not use.
package enum OpenFilesLimit {
    /// Raises the soft limit to the hard one. Returns the limit that holds from now on.
    @discardableResult
    package static func raise() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
        if limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = limit.rlim_max
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }
}

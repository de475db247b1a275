// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletServiceKit
import Testing

/// The limit of open files.
@Suite("Limit of open files")
struct OpenFilesLimitTests {
    @Test("The soft limit becomes the hard one, and a second time changes nothing")
    func raise() {
        let raised = OpenFilesLimit.raise()
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        #expect(limit.rlim_cur == limit.rlim_max)
        #expect(raised == Int(clamping: limit.rlim_max))
        #expect(OpenFilesLimit.raise() == raised)
    }
}

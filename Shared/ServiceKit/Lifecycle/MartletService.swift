// SPDX-License-Identifier: Apache-2.0

package import MartletWire
package import ServiceLifecycle

/// One of the five services, as executables and `martlet up` run it.
///
/// `init` registers bus handlers and starts nothing. `run` opens what the service needs, sets `readiness` to ready and
/// lives until graceful shutdown; then it stops work that it began by itself (HTTP connections, jobs), finishes what is
/// in hand and returns. Handlers are still called until the bus has drained; after that `close` releases what they use.
package protocol MartletService: Service {
    static var name: ServiceName { get }

    /// Throws `StartFailure` for what a person has to repair.
    init(_ context: ServiceContext) async throws

    /// Releases databases and the like: after `run` has ended, however it ended, and no handler runs any more.
    func close() async
}

extension MartletService {
    package func close() async {}
}

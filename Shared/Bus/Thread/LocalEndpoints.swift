// SPDX-License-Identifier: Apache-2.0

/// The `inproc` endpoints that are bound in this process.
///
/// libzmq tells neither side of an `inproc` link when the other one goes, and a connect before the bind keeps its
/// socket from ever ending (libzmq 4.3.4); so links ask here first and hear here of the end.
final class LocalEndpoints {
    enum Change { case bound, unbound }

    private var bound: Set<String> = []
    private var observers: [UInt64: (String, Change) -> Void] = [:]
    private var nextObserver: UInt64 = 0

    func isBound(_ endpoint: String) -> Bool { bound.contains(endpoint) }

    func set(_ endpoint: String, _ change: Change) {
        switch change {
        case .bound: bound.insert(endpoint)
        case .unbound: bound.remove(endpoint)
        }
        for observer in observers.values { observer(endpoint, change) }
    }

    func observe(_ observer: @escaping (String, Change) -> Void) -> UInt64 {
        nextObserver += 1
        observers[nextObserver] = observer
        return nextObserver
    }

    func stopObserving(_ id: UInt64) { observers[id] = nil }
}

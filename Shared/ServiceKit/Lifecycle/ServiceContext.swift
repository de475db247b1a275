// SPDX-License-Identifier: Apache-2.0

package import Logging
package import MartletBus
package import MartletTracing
package import MartletWire

/// What a service gets from the process that runs it.
package struct ServiceContext: Sendable {
    package let name: ServiceName
    /// Names this process among the replicas of the service.
    package let instance: String
    package let settings: Settings
    package let dataDirectory: DataDirectory
    /// For background work; `logger(for:)` for requests.
    package let logger: Logger
    package let bus: Bus
    package let readiness: Readiness
    package let metrics: MetricsRegistry
    package let tracer: Tracer
    let listeners: Listeners

    package var mode: DeploymentMode { settings[\.process.mode] }
    package var project: ProjectFolder { settings.project }

    /// Says what listens where, in `run/ports.json` and the log: `announce("http", "http://127.0.0.1:8000")`.
    package func announce(_ what: String, _ address: String) {
        listeners.add(what, address)
        logger.info("Listening.", metadata: ["listen.kind": "\(what)", "listen.address": "\(address)"])
    }

    /// A logger whose lines carry the request's id and trace.
    package func logger(for header: RequestHeader) -> Logger {
        logger.with(header.trace)
    }
}

extension Logger {
    /// A logger whose lines say what they belong to.
    package func with(_ trace: TraceContext) -> Logger {
        var logger = self
        if !trace.requestID.isEmpty { logger[metadataKey: "request.id"] = "\(trace.requestID)" }
        if let traceID = trace.traceID { logger[metadataKey: "trace.id"] = "\(traceID)" }
        return logger
    }
}

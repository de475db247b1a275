// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit
internal import MartletTracing
internal import MartletWire

/// Calls that are spans. It stands before the other caller only while traces are sent.
struct TracedCaller: FunctionCaller {
    let caller: any FunctionCaller
    let tracer: Tracer

    func call(
        _ name: String, _ request: FunctionRequest, deadline: ContinuousClock.Instant
    ) async throws(FunctionFailure) -> FunctionResponse {
        let span = tracer.begin("call \(name)", .client, in: request.trace)
        var inner = request
        inner.trace = span.context
        do throws(FunctionFailure) {
            let response = try await caller.call(name, inner, deadline: deadline)
            // For a client every refusal is an error (conventions for HTTP, "Status").
            end(span, name, request.method, response.status, response.status >= 400 ? String(response.status) : nil)
            return response
        } catch {
            end(span, name, request.method, nil, error.code.rawValue)
            throw error
        }
    }

    private func end(_ span: Span, _ name: String, _ method: String, _ status: UInt16?, _ error: String?) {
        span.end(error: error) { attributes in
            attributes.set(.functionName, name)
            attributes.set(.httpMethod, method)
            if let status { attributes.set(.httpStatus, Int(status)) }
        }
    }
}

/// Deno sends spans by itself (https://docs.deno.com/runtime/fundamentals/open_telemetry/): it goes on with the
/// `traceparent` of a request, and `fetch` carries it further.
enum FunctionTraces {
    static func variables(_ settings: Settings) -> [String: String] {
        guard let endpoint = settings[\.traces.endpoint] else { return [:] }
        var variables = [
            "OTEL_DENO": "true",
            // What a function prints stays on standard output alone, where it becomes log lines.
            "OTEL_DENO_CONSOLE": "ignore",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": settings[\.traces.encoding].rawValue,
            "OTEL_SERVICE_NAME": "\(settings[\.traces.servicePrefix])-functions",
            // Without it Deno records what the caller does not want recorded.
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        ]
        let headers = settings[\.traces.headers]
        if !headers.isEmpty { variables["OTEL_EXPORTER_OTLP_HEADERS"] = headers.joined(separator: ",") }
        if let file = settings[\.traces.certificates] { variables["OTEL_EXPORTER_OTLP_CERTIFICATE"] = file }
        return variables
    }
}

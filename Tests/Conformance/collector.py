# SPDX-License-Identifier: Apache-2.0
"""A collector of traces whose manners the test chooses. What it reads, it reads by the official schema."""

import base64
import dataclasses
import http.server
import socket
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


@dataclasses.dataclass
class Span:
    service: str
    resource: dict
    trace: str
    id: str
    parent: str
    name: str
    kind: int
    begin: int
    end: int
    attributes: dict
    failed: bool
    flags: int


def _values(attributes) -> dict:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


class Collector:
    """Keeps every span. `manner(count)` says what becomes of a request: None takes it, a number is the status that
    refuses it, a pair is a status and its Retry-After, a float is seconds of thought before it is taken."""

    def __init__(self, manner=lambda count: None, port: int = 0):
        self.manner = manner
        self.lock = threading.Lock()
        self.requests = 0
        self.seconds = []
        self.headers = []
        self.connections = []
        self._spans = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                with outer.lock:
                    outer.connections.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    outer._take(self, body)
                except OSError:
                    self.close_connection = True
                    return  # it was not waited for

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def _take(self, handler, body: bytes):
        with self.lock:
            self.requests += 1
            count = self.requests
            self.seconds.append(time.monotonic())
            self.headers.append(dict(handler.headers))
        manner = self.manner(count)
        if isinstance(manner, float):
            time.sleep(manner)
            manner = None
        status, advice = manner if isinstance(manner, tuple) else (manner or 200, None)
        if handler.path != "/v1/traces":  # metrics of functions
            status = 404
        elif status == 200:
            self._keep(handler.headers["Content-Type"], body)
        handler.send_response(status)
        if advice is not None:
            handler.send_header("Retry-After", str(advice))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _keep(self, media_type: str, body: bytes):
        request = trace_service_pb2.ExportTraceServiceRequest()
        if media_type == "application/json":
            # The standard mapping of bytes is base64; OTLP's is hexadecimal, which base64 reads as other bytes.
            json_format.Parse(body, request)
            identity = lambda value: base64.b64encode(value).decode()
        else:
            assert media_type == "application/x-protobuf", media_type
            request.ParseFromString(body)
            identity = bytes.hex
        found = []
        for resource in request.resource_spans:
            about = _values(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.append(Span(
                        about["service.name"], about, identity(span.trace_id), identity(span.span_id),
                        identity(span.parent_span_id), span.name, span.kind, span.start_time_unix_nano,
                        span.end_time_unix_nano, _values(span.attributes), span.status.code == 2, span.flags))
        with self.lock:
            self._spans += found

    @property
    def spans(self) -> list:
        with self.lock:
            return list(self._spans)

    def of(self, request_id: str) -> list:
        """Those of one request, by what the edge answered as X-Request-Id."""
        return [span for span in self.spans if span.attributes.get("martlet.request_id") == request_id]

    def stop(self):
        """With the connections that are open, as when a process ends."""
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it was gone already


def tree(spans: list) -> list:
    """The spans that have no parent among them. Fails where a span stands twice or begins before its parent."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans), "a span was sent twice"
    for span in spans:
        parent = by_id.get(span.parent)
        if parent:
            assert parent.trace == span.trace
            assert span.begin >= parent.begin, f"{span.name} begins before {parent.name}"
    return [span for span in spans if span.parent not in by_id]

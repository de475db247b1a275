# SPDX-License-Identifier: Apache-2.0
"""A function in Python: HTTP/1.1 on the socket that the environment names."""

import json
import os
import socketserver
import subprocess
import time
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        what = self.path.rsplit("/", 1)[-1]
        if what == "exit":
            os._exit(3)
        if what == "sleep":
            time.sleep(60)
        if what == "wait":
            time.sleep(1)
        if what == "child":
            subprocess.Popen(["sleep", "600"])
        body = json.dumps(dict(os.environ) if what == "env" else {"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def address_string(self):
        return "-"

    def log_message(self, *arguments):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


Server(os.environ["MARTLET_FUNCTION_SOCKET"], Handler).serve_forever()

"""What the oracle's tests share: the program that prints requests and answers, and a server on this machine."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from golden_files import GOLDEN  # noqa: E402


class Program:
    """taut_ai_requests, whose path is in TAUT_AI_REQUESTS."""

    def __init__(self, path):
        self._path = path

    def _run(self, *arguments):
        return subprocess.run([self._path, *arguments], capture_output=True, text=True, check=True).stdout

    def requests(self):
        lines = [json.loads(line) for line in self._run("requests").splitlines()]
        return {line["name"]: line for line in lines}

    def parse(self, file):
        return json.loads(self._run("parse", file.split("/")[0], str(GOLDEN / file)))


@pytest.fixture(scope="session")
def program():
    path = os.environ.get("TAUT_AI_REQUESTS", "")
    if not os.path.isfile(path):
        pytest.skip("TAUT_AI_REQUESTS does not name the program taut_ai_requests")
    return Program(path)


class Server:
    """Answers every request with one body, and keeps what was asked."""

    def __init__(self):
        self.body, self.content_type, self.status = b"{}", "application/json", 200
        self.seen = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("content-length", 0))
                owner.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
                self.send_response(owner.status)
                self.send_header("content-type", owner.content_type)
                self.send_header("content-length", str(len(owner.body)))
                self.end_headers()
                self.wfile.write(owner.body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def serve(self, file):
        """The body of a golden file, as an answer or as a stream."""
        self.body = (GOLDEN / file).read_bytes()
        self.content_type = "text/event-stream" if file.endswith(".sse") else "application/json"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()

"""A server that speaks HTTP/2 over TLS as a test tells it to, down to its frames, on a thread of its own."""

import asyncio
import json
import ssl
import subprocess
import threading

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import GoAwayFrame


def make_certificates(folder):
    """An authority of the test's own, and a certificate for 127.0.0.1 that it has signed."""
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for command in (
        f"openssl req -x509 {new_key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2",
        f"openssl req {new_key} -keyout server.key -out server.csr -subj /CN=server",
        "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


def piece(text, finish=None):
    """An event of a chat that is streamed, as OpenAI sends it."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


END = piece("", "stop") + b"data: [DONE]\n\n"


def whole(text):
    """The answer to a chat that is not."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return json.dumps({"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}).encode()


def prompt(stream):
    return json.loads(stream.body)["messages"][-1]["content"]


def is_stream(stream):
    return json.loads(stream.body).get("stream", False)


class Stream:
    """A request, and the ways to answer it. Everything happens on the server's loop."""

    def __init__(self, connection, number, headers):
        self.connection = connection
        self.number = number
        self.headers = headers
        self.body = b""
        self.sent = 0  # bytes of the body
        self.reset_code = None  # of the client's RST_STREAM
        self.has_gone = asyncio.Event()  # the client's RST_STREAM, or the end of the connection

    def respond(self, headers=None, status=200, content_type="text/event-stream"):
        fields = [(":status", str(status)), ("content-type", content_type), *(headers or {}).items()]
        self.connection.h2.send_headers(self.number, fields)
        self.connection.flush()

    async def send(self, data, end=False):
        """Waits for room in the windows of the stream and of the connection."""
        while data:
            room = min(
                self.connection.h2.local_flow_control_window(self.number), self.connection.h2.max_outbound_frame_size
            )
            if room <= 0:
                await self.connection.wait_for_window()
                continue
            self.connection.h2.send_data(self.number, data[:room])
            self.sent += len(data[:room])
            data = data[room:]
            self.connection.flush()
            await self.connection.drain()
        if end:
            self.connection.h2.end_stream(self.number)
            self.connection.flush()

    async def answer(self, data, **head):
        self.respond(**head)
        await self.send(data, end=True)

    def reset(self, code):
        self.connection.h2.reset_stream(self.number, code)
        self.connection.flush()


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams = {}
        self.number_of_streams = 0
        self._window = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport):
        self.transport = transport
        self.protocol = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        self.server.connections.append(self)
        if self.protocol != "h2":
            transport.abort()
            return
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            self.handle(event)
        self.flush()

    def handle(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = Stream(self, event.stream_id, dict(event.headers))
            self.number_of_streams += 1
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.server.begin(stream)
        elif isinstance(event, h2.events.StreamReset):
            stream.reset_code = event.error_code
            stream.has_gone.set()
            self.wake()
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            self.wake()

    @property
    def is_open(self):
        return not self.transport.is_closing()

    def flush(self):
        if data := self.h2.data_to_send():
            self.transport.write(data)

    def go_away(self, last_stream, code=0):
        """The frame alone: the streams up to `last_stream` go on."""
        frame = GoAwayFrame(0, last_stream_id=last_stream, error_code=code)
        self.flush()
        self.transport.write(frame.serialize())

    def wake(self):
        self._window.set()
        self._window = asyncio.Event()

    async def wait_for_window(self):
        await self._window.wait()

    def pause_writing(self):
        self._writable.clear()

    def resume_writing(self):
        self._writable.set()

    async def drain(self):
        await self._writable.wait()

    def connection_lost(self, _):
        for stream in self.streams.values():
            stream.has_gone.set()
        self._writable.set()
        self.wake()


class Http2Server:
    """Runs `handler(stream)` for each request. With `protocol="http/1.1"` it speaks no HTTP/2: every connection is
    answered with `plain_answer`."""

    def __init__(self, folder, handler=None, protocol="h2", plain_answer=b""):
        self.connections = []
        self.streams = []  # as they came, on whatever connection
        self.failures = []  # of handlers
        self._handler = handler
        self._plain_answer = plain_answer
        self._tasks = set()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._context.set_alpn_protocols([protocol])
        self._protocol = protocol
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_ready = threading.Event()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._is_ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _listen(self):
        if self._protocol == "h2":
            make = self._loop.create_server(lambda: Connection(self), "127.0.0.1", 0, ssl=self._context)
        else:
            make = asyncio.start_server(self._serve_plain, "127.0.0.1", 0, ssl=self._context)
        listener = await make
        self.port = listener.sockets[0].getsockname()[1]

    async def _serve_plain(self, reader, writer):
        self.connections.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        head = await reader.readuntil(b"\r\n\r\n")
        self.streams.append(head)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(length)
        writer.write(self._plain_answer)
        await writer.drain()
        writer.close()

    def begin(self, stream):
        self.streams.append(stream)
        task = self._loop.create_task(self._handle(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, stream):
        try:
            await self._handler(stream)
        except Exception as error:  # noqa: BLE001 - what a client that has gone causes is no failure
            if not stream.has_gone.is_set():
                self.failures.append(error)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def do(self, function, *arguments):
        """Calls a function on the server's loop, and returns what it returns."""

        async def call():
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def __enter__(self):
        self._thread.start()
        assert self._is_ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

"""taut.ai over HTTP/2: many requests on one connection, of which each ends as it would alone."""

import asyncio
import gzip
import shutil
import threading
import time

import pytest

from ai_support import MARKER, ai, failure

pytest.importorskip("h2", reason="the server of these tests needs the package h2")
if shutil.which("openssl") is None:
    pytest.skip("openssl(1) is not there", allow_module_level=True)

import ai_http2_server as http2  # noqa: E402
from ai_http2_server import END, is_stream, piece, prompt, whole  # noqa: E402

NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 2, 7, 8


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return http2.make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve(certificates):
    """Starts servers, and tells at the end which of their handlers failed."""
    running = []

    def start(handler=None, **options):
        server = http2.Http2Server(certificates, handler, **options)
        running.append(server.__enter__())
        return server

    yield start
    for server in running:
        server.__exit__()
        assert server.failures == []


@pytest.fixture
def connect(certificates):
    clients = []

    def make(server, **options):
        options = {"ca_file": str(certificates / "ca.pem"), "seed": 1, "max_retries": 2, **options}
        client = ai.Client(**options)
        clients.append(client)
        return client, client.provider(ai.openai(base_url=server.url + "/v1", key=MARKER), model="m")

    yield make
    for client in clients:
        client.close()


async def echo(stream):
    """Says what it was told, in pieces where a stream is asked for."""
    if is_stream(stream):
        stream.respond()
        for word in prompt(stream).split():
            await stream.send(piece(word))
        await stream.send(END, end=True)
    else:
        await stream.answer(whole(prompt(stream)), content_type="application/json")


def text_of(stream):
    return "".join(event.text for event in stream if event.kind == "text")


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def in_threads(function, items):
    """What a function makes of each item, all at the same time: texts, or the errors that it raised."""
    results = [None] * len(items)

    def call(index):
        try:
            results[index] = function(items[index])
        except ai.ProviderError as error:
            results[index] = error

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


# ---- What is agreed on


def test_both_sides_agree_on_http2(serve, connect):
    server = serve(echo)
    _, provider = connect(server)
    assert provider.chat("hello").text == "hello"
    assert text_of(provider.stream("one two")) == "onetwo"
    assert [connection.protocol for connection in server.connections] == ["h2"]
    for stream in server.streams:
        assert stream.headers[":path"] == "/v1/chat/completions"
        assert stream.headers["authorization"] == "Bearer " + MARKER
        assert sum(MARKER in value for value in stream.headers.values()) == 1 and MARKER.encode() not in stream.body


def test_a_server_without_http2_is_spoken_to_as_it_likes(serve, connect):
    body = whole("plain")
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    server = serve(protocol="http/1.1", plain_answer=head.encode() + body)
    _, provider = connect(server)
    assert provider.chat("hello").text == "plain"
    assert server.connections == ["http/1.1"]
    assert server.streams[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")


# ---- Many at once


def test_many_streams_share_a_connection(serve, connect):
    """More than a host may have connections, all of them open at the same time: none gets its end before all have come."""
    count = 48
    everyone = asyncio.Event()

    async def handler(stream):
        stream.respond()
        await stream.send(piece("begin "))
        if len(server.streams) == count:
            everyone.set()
        await everyone.wait()
        await stream.send(piece(prompt(stream)) + END, end=True)

    server = serve(handler)
    client, provider = connect(server, max_connections_per_host=4)
    texts = in_threads(lambda i: text_of(provider.stream(str(i))), range(count))
    assert texts == [f"begin {i}" for i in range(count)]
    assert len(server.connections) == 1
    assert client.statistics()["connections"] == 1


def test_hundreds_of_requests_on_a_few_connections(serve, connect):
    server = serve(echo)
    client, provider = connect(server)

    async def main():
        async def stream(i):
            async with provider.astream(f"s {i}") as events:
                return "".join([event.text async for event in events if event.kind == "text"])

        async def chat(i):
            return (await provider.achat(f"c {i}")).text

        return await asyncio.gather(*(stream(i) if i % 2 else chat(i) for i in range(300)))

    assert asyncio.run(main()) == [f"s{i}" if i % 2 else f"c {i}" for i in range(300)]
    assert len(server.connections) <= 2, "hundreds share them"
    assert client.statistics()["completed"] == 300


# ---- Encodings and headers


def test_compressed_answers(serve, connect):
    async def handler(stream):
        data = piece("packed") + END if is_stream(stream) else whole("packed")
        kind = "text/event-stream" if is_stream(stream) else "application/json"
        await stream.answer(gzip.compress(data), headers={"content-encoding": "gzip"}, content_type=kind)

    server = serve(handler)
    _, provider = connect(server)
    assert provider.chat("x").text == "packed"
    assert text_of(provider.stream("x")) == "packed"
    assert [stream.headers["accept-encoding"] for stream in server.streams] == ["gzip, deflate", "identity"]


@pytest.mark.parametrize("size, count", [(1000, 300), (15_000, 20)])
def test_headers_that_are_too_large(serve, connect, size, count):
    async def handler(stream):
        if prompt(stream) == "large":
            headers = {f"x-{i}": "h" * size for i in range(count)}
            await stream.answer(whole("hi"), headers=headers, content_type="application/json")
        else:
            await echo(stream)

    server = serve(handler)
    _, provider = connect(server, max_retries=0)
    error = failure(provider.chat, "large")
    assert error.kind == "malformed_response", error
    assert provider.chat("small").text == "small", "the next ones do not mind"


# ---- Streams that the server breaks off


def test_a_reset_within_a_stream_ends_that_one_alone(serve, connect):
    may_break, other_may_end = asyncio.Event(), asyncio.Event()

    async def handler(stream):
        stream.respond()
        await stream.send(piece("begun "))
        if prompt(stream) == "broken":
            await may_break.wait()
            stream.reset(INTERNAL_ERROR)
        else:
            await other_may_end.wait()
            await stream.send(piece("and done") + END, end=True)

    server = serve(handler)
    _, provider = connect(server)
    other = provider.stream("other")
    assert next(iter(other)).text == "begun "
    broken = provider.stream("broken")
    assert next(iter(broken)).text == "begun "
    server.do(may_break.set)
    error = failure(text_of, broken)
    assert error.kind == "truncated_stream" and error.partial_output and error.attempts == 1
    assert broken.response.text == "begun "
    server.do(other_may_end.set)
    assert text_of(other) == "and done"
    assert len(server.connections) == 1


@pytest.mark.parametrize("code", [INTERNAL_ERROR, REFUSED_STREAM, CANCEL])
@pytest.mark.parametrize("call", ["chat", "stream"])
def test_a_reset_before_the_head_is_tried_again(serve, connect, code, call):
    async def handler(stream):
        if len(server.streams) == 1:
            stream.reset(code)
        else:
            await echo(stream)

    server = serve(handler)
    client, provider = connect(server)
    text = provider.chat("hello").text if call == "chat" else text_of(provider.stream("hello"))
    assert text == "hello"
    assert len(server.streams) == 2
    assert client.statistics()["failed"] == 0


def test_a_reset_before_the_head_without_retries(serve, connect):
    async def handler(stream):
        stream.reset(INTERNAL_ERROR)

    server = serve(handler)
    _, provider = connect(server, max_retries=0)
    assert failure(provider.chat, "hello").kind == "connection"


# ---- Connections that the server ends


def test_those_above_a_goaway_are_asked_again_and_those_below_finish(serve, connect):
    """Four streams on one connection: two have begun when the server says that it did not look at the other two."""
    first = []

    async def handler(stream):
        if stream.connection is not server.connections[0]:
            await echo(stream)
            return
        first.append(stream)
        if stream.number <= 3:
            stream.respond()
            await stream.send(piece("old "))
        if len(first) == 4:
            stream.connection.go_away(3)
            for old in first:
                if old.number <= 3:
                    await old.send(piece(prompt(old)) + END, end=True)

    server = serve(handler)
    client, provider = connect(server)
    texts = in_threads(lambda i: text_of(provider.stream(f"p{i}")), range(4))
    assert sorted(text.removeprefix("old ") for text in texts) == ["p0", "p1", "p2", "p3"]
    assert sum(text.startswith("old ") for text in texts) == 2
    assert len(server.connections) in (2, 3), "those that are asked again may each make one"
    assert client.statistics()["failed"] == 0


def test_a_goaway_that_forgets_a_stream_which_has_begun(serve, connect):
    """Its text has been delivered: it is an error, neither the end of the answer nor a second beginning."""

    async def handler(stream):
        stream.respond()
        await stream.send(piece("begun"))
        await may_forget.wait()
        stream.connection.go_away(0, INTERNAL_ERROR)

    may_forget = asyncio.Event()
    server = serve(handler)
    _, provider = connect(server)
    stream = provider.stream("x")
    assert next(iter(stream)).text == "begun"
    server.do(may_forget.set)
    error = failure(text_of, stream)
    assert error.kind == "truncated_stream" and error.partial_output
    assert len(server.streams) == 1


def test_connections_that_end_in_good_order_are_replaced(serve, connect):
    async def handler(stream):
        await echo(stream)
        stream.connection.go_away(stream.number)
        stream.connection.transport.close()

    server = serve(handler)
    client, provider = connect(server)
    for i in range(5):
        assert provider.chat(str(i)).text == str(i)
        wait_until(lambda: not server.connections[-1].is_open)
    assert len(server.connections) == 5
    assert client.statistics()["failed"] == 0


def test_a_connection_that_breaks_takes_its_streams_along(serve, connect):
    async def handler(stream):
        stream.respond()
        await stream.send(piece("begun"))
        await stream.has_gone.wait()

    server = serve(handler)
    _, provider = connect(server)
    streams = [provider.stream(str(i)) for i in range(3)]
    assert [next(iter(stream)).text for stream in streams] == ["begun"] * 3
    assert len(server.connections) == 1
    server.do(server.connections[0].transport.abort)
    for stream in streams:
        error = failure(text_of, stream)
        assert error.kind == "truncated_stream" and error.partial_output


# ---- Streams that the client breaks off


def test_cancelling_resets_the_stream_and_leaves_the_rest(serve, connect):
    other_may_end = asyncio.Event()

    async def handler(stream):
        stream.respond()
        await stream.send(piece("begun "))
        if prompt(stream) == "unwanted":
            await stream.has_gone.wait()
        else:
            await other_may_end.wait()
            await stream.send(piece("and done") + END, end=True)

    server = serve(handler)
    client, provider = connect(server)
    other = provider.stream("other")
    assert next(iter(other)).text == "begun "
    for _ in range(5):  # while the connection has nothing else to say
        unwanted = provider.stream("unwanted")
        assert next(iter(unwanted)).text == "begun "
        unwanted.cancel()
        assert failure(text_of, unwanted).kind == "cancelled"
        wait_until(server.streams[-1].has_gone.is_set)
        assert server.streams[-1].reset_code is not None, "by RST_STREAM, not by the end of the connection"
    server.do(other_may_end.set)
    assert text_of(other) == "and done"
    assert len(server.connections) == 1 and server.connections[0].is_open
    assert client.statistics()["cancelled"] == 5


def test_cancelling_before_the_head(serve, connect):
    async def handler(stream):
        if prompt(stream) == "unwanted":
            await stream.has_gone.wait()
        else:
            await echo(stream)

    server = serve(handler)
    _, provider = connect(server)

    async def main():
        call = asyncio.create_task(provider.achat("unwanted"))
        while not server.streams:
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    wait_until(server.streams[0].has_gone.is_set)
    assert provider.chat("next").text == "next"
    assert len(server.connections) <= 2, "the connection of a stream that was alone on it may be closed"


# ---- Readers that are slow


def test_a_slow_reader_holds_up_its_own_stream_alone(serve, connect):
    size, most = 20_000, 44 << 20
    window = 32 << 20  # of a stream, as libcurl 7.88 opens it
    buffered = 256 * size  # events that wait for their reader

    async def handler(stream):
        if prompt(stream) != "much":
            await echo(stream)
            return
        stream.respond()
        while stream.sent < most:
            await stream.send(piece("x" * size))
        await stream.send(END, end=True)

    server = serve(handler)
    _, provider = connect(server)
    slow = provider.stream("much")
    events = iter(slow)
    next(events)
    for i in range(20):
        assert provider.chat(f"quick {i}", deadline=10).text == f"quick {i}"
    assert server.streams[0].sent <= window + buffered + (1 << 20), "the server has to wait"
    assert len(server.connections) == 1
    text_of(events)
    sent = server.streams[0].sent
    assert sent > most
    assert len(slow.response.text) == size * -(-most // len(piece("x" * size)))


@pytest.mark.parametrize("others", [0, 20])
def test_the_end_of_a_stream_waits_for_its_reader(serve, connect, others):
    """Also where others keep its connection busy, so that libcurl looks at all that belongs to it."""
    count, size = 2000, 100

    async def handler(stream):
        if prompt(stream) != "much":
            await echo(stream)
            return
        stream.respond()
        for _ in range(count):
            await stream.send(piece("x" * size))
        await stream.send(END, end=True)

    server = serve(handler)
    _, provider = connect(server)
    readers = [iter(provider.stream("much")) for _ in range(8)]
    for events in readers:
        next(events)
    expected = count * len(piece("x" * size)) + len(END)
    wait_until(lambda: all(stream.sent == expected for stream in server.streams[:8]))
    for i in range(others):
        assert provider.chat(f"quick {i}", deadline=10).text == f"quick {i}"
    for events in readers:
        assert len(text_of(events)) == (count - 1) * size


def test_what_a_reader_left_behind_is_given_to_nobody(serve, connect):
    """A stream that is called off while it waits for its reader, and the next one that waits."""
    count = 1000

    async def handler(stream):
        stream.respond()
        word = prompt(stream)
        for _ in range(count):
            await stream.send(piece(word))
        if word == "open":
            await stream.has_gone.wait()
        else:
            await stream.send(END, end=True)

    server = serve(handler)
    _, provider = connect(server)
    still_open = provider.stream("open")  # the connection stays in use
    next(iter(still_open))
    for number in range(4):
        left = provider.stream("left")
        next(iter(left))
        wait_until(lambda: server.streams[-1].sent > count * len(piece("left")))
        left.cancel()
        events = iter(provider.stream(f"read {number}"))
        first = next(events).text
        wait_until(lambda: server.streams[-1].sent > count * len(piece("read 0")))
        assert first + text_of(events) == f"read {number}" * count
    still_open.cancel()


# ---- Traces


def test_traces_of_http2_hold_no_key(serve, connect):
    server = serve(echo)
    lines = []
    _, provider = connect(server, trace=lines.append)
    provider.chat("hello")
    text_of(provider.stream("hello"))
    text = "\n".join(lines)
    assert "> POST /v1/chat/completions HTTP/2" in text and "< HTTP/2 200" in text
    assert "authorization: <redacted>" in text.lower()
    assert not any(MARKER[i : i + 8] in text for i in range(len(MARKER) - 7))

"""Runs a program of tests/ai_http2 against a server of HTTP/2: run.py PROGRAM SECONDS."""

import asyncio
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
SKIPPED = 77  # as CTest knows it
INTERNAL_ERROR = 2


def piece(text, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def whole(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice]}).encode()


async def answer(stream):
    request = json.loads(stream.body)
    prompt = request["messages"][-1]["content"]
    if not request.get("stream"):
        await stream.answer(whole(prompt), content_type="application/json")
        return
    stream.respond()
    if prompt == "reset":
        await stream.send(piece("one"))
        stream.reset(INTERNAL_ERROR)
        return
    if prompt == "for ever":
        while not stream.has_gone.is_set():
            await stream.send(piece("on"))
            await asyncio.sleep(0.001)
        return
    for number, word in enumerate(prompt.split()):
        await stream.send(piece(word if number == 0 else " " + word))
    await stream.send(piece("", "stop") + b"data: [DONE]\n\n", end=True)


def main():
    program, seconds = sys.argv[1:]
    try:
        import ai_http2_server as http2
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        try:
            certificates = http2.make_certificates(pathlib.Path(folder))
        except FileNotFoundError:
            print("skipped: openssl(1) is not there")
            return SKIPPED
        with http2.Http2Server(certificates, answer) as server:
            command = [program, server.url + "/v1", str(certificates / "ca.pem"), seconds]
            code = subprocess.run(command, timeout=300).returncode
            if server.failures:
                print("the server failed:", server.failures[:3])
            return code or bool(server.failures)


if __name__ == "__main__":
    sys.exit(main())

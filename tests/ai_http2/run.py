"""Runs a program of tests/ai_http2 against a server of HTTP/2: run.py PROGRAM SECONDS."""

import asyncio
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
SKIPPED = 77  # as CTest knows it
INTERNAL_ERROR = 2

try:
    import ai_http2_server as http2
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(SKIPPED)


async def answer(stream):
    asked = http2.prompt(stream)
    if not http2.is_stream(stream):
        await stream.answer(http2.whole(asked), content_type="application/json")
        return
    stream.respond()
    if asked == "reset":
        await stream.send(http2.piece("one"))
        stream.reset(INTERNAL_ERROR)
        return
    if asked == "for ever":
        while not stream.has_gone.is_set():
            await stream.send(http2.piece("on"))
            await asyncio.sleep(0.001)
        return
    for number, word in enumerate(asked.split()):
        await stream.send(http2.piece(word if number == 0 else " " + word))
    await stream.send(http2.END, end=True)


def main():
    program, seconds = sys.argv[1:]
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

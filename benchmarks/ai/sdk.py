"""taut.ai beside OpenAI's own library for Python: answers a second, events of streams a second, memory.

    cmake/setup.sh oracle
    cmake --build build/release --target taut_ai_python taut_ai_load_server benchmark_ai_load
    PYTHONPATH=build/release/python build/oracle/bin/python benchmarks/ai/sdk.py

One server in a process of its own answers all clients (tests/ai_load/server.cpp). Every measurement is a process of its
own, too; the clients take turns, and what is told is the median of the turns.
"""

import json
import os
import sys
import time

# The rest is imported where it is needed: what a client does without is no memory of its process.

USER = [{"role": "user", "content": "Hello"}]
LIBCURL = "bare libcurl"  # what every client on libcurl takes at least
HELD = 256  # streams that are open at the same time, for the memory


def memory(what):
    """VmHWM: the most that was in RAM at any time; RssAnon: what is no page of a file, and of this process alone."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what + ":"))


# ---- Clients: `ask` has one answer, `listen` counts the events of one stream, `hold` keeps a stream open


class OpenaiAsync:
    def __init__(self, url, at_once):
        import openai

        http = openai.DefaultAsyncHttpxClient(limits=self._limits(openai, at_once))
        self.client = openai.AsyncOpenAI(api_key="key", base_url=url, http_client=http)

    @staticmethod
    def _limits(openai, at_once):
        kind = type(openai.DEFAULT_CONNECTION_LIMITS)
        return kind(max_connections=at_once, max_keepalive_connections=at_once)

    async def ask(self):
        answer = await self.client.chat.completions.create(model="answer", messages=USER)
        assert answer.choices[0].message.content
        return 1

    async def listen(self):
        count = 0
        async for _ in await self.client.chat.completions.create(model="burst-200", messages=USER, stream=True):
            count += 1
        return count

    async def hold(self):
        stream = await self.client.chat.completions.create(model="held", messages=USER, stream=True)
        await stream.__anext__()
        return stream


class OpenaiThreads(OpenaiAsync):
    def __init__(self, url, at_once):
        import openai

        http = openai.DefaultHttpxClient(limits=self._limits(openai, at_once))
        self.client = openai.OpenAI(api_key="key", base_url=url, http_client=http)

    def ask(self):
        assert self.client.chat.completions.create(model="answer", messages=USER).choices[0].message.content
        return 1

    def listen(self):
        return sum(1 for _ in self.client.chat.completions.create(model="burst-200", messages=USER, stream=True))

    def hold(self):
        stream = self.client.chat.completions.create(model="held", messages=USER, stream=True)
        next(stream)
        return stream


class TautAsync:
    def __init__(self, url, at_once):
        from taut import ai

        self.client = ai.Client(max_connections=at_once, max_connections_per_host=at_once)
        config = ai.compatible("server", url, max_concurrent=at_once)
        self.provider = self.client.provider(config)

    async def ask(self):
        assert (await self.provider.achat("Hello", model="answer")).text
        return 1

    async def listen(self):
        count = 0
        async for _ in self.provider.astream("Hello", model="burst-200"):
            count += 1
        return count

    async def hold(self):
        stream = self.provider.astream("Hello", model="held")
        await stream.__anext__()
        return stream


class TautThreads(TautAsync):
    def ask(self):
        assert self.provider.chat("Hello", model="answer").text
        return 1

    def listen(self):
        return sum(1 for _ in self.provider.stream("Hello", model="burst-200"))

    def hold(self):
        stream = self.provider.stream("Hello", model="held")
        next(stream)
        return stream


CLIENTS = {
    "openai, asyncio": OpenaiAsync,
    "openai, threads": OpenaiThreads,
    "taut.ai, asyncio": TautAsync,
    "taut.ai, threads": TautThreads,
}


# ---- One measurement, in this process


def tell(pieces, begin, cpu):
    """Prints what was measured, and ends the process at once: nothing that is open is taken down."""
    seconds, used = time.monotonic() - begin, time.process_time() - cpu
    told = {"pieces": pieces, "seconds": seconds, "cpu": used, "memory": memory("VmHWM"), "own": memory("RssAnon")}
    print(json.dumps(told), flush=True)
    os._exit(0)


async def measure_async(client, kind, count, at_once):
    import asyncio

    await client.ask()  # what is done once, before anything is measured
    begin, cpu = time.monotonic(), time.process_time()
    if kind == "held":
        held = await asyncio.gather(*(client.hold() for _ in range(count)))
        tell(len(held), begin, cpu)
    calls = iter(range(count))
    work = client.ask if kind == "answers" else client.listen

    async def worker():
        return sum([await work() for _ in calls])

    tell(sum(await asyncio.gather(*(worker() for _ in range(at_once)))), begin, cpu)


def measure_threads(client, kind, count, at_once):
    client.ask()
    begin, cpu = time.monotonic(), time.process_time()
    if kind == "held":
        held = [client.hold() for _ in range(count)]  # one thread is enough to have many open
        tell(len(held), begin, cpu)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(at_once) as pool:
        begin, cpu = time.monotonic(), time.process_time()
        work = client.ask if kind == "answers" else client.listen
        tell(sum(future.result() for future in [pool.submit(work) for _ in range(count)]), begin, cpu)


def measure(name, url, kind, count, at_once):
    client = CLIENTS[name](url, at_once)
    if name.endswith("asyncio"):
        import asyncio

        asyncio.run(measure_async(client, kind, count, at_once))
    else:
        measure_threads(client, kind, count, at_once)


# ---- All of them, in turn


class Server:
    def __init__(self, build):
        import subprocess

        self.process = subprocess.Popen(
            [f"{build}/tests/taut_ai_load_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1"

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def in_a_process(build, name, url, kind, count, at_once):
    import subprocess

    numbers = [kind, str(count), str(at_once)]
    if name == LIBCURL:
        command = [f"{build}/benchmarks/ai_load", url, "held-by-libcurl", *numbers[1:]]
    elif name == "C++":
        command = [f"{build}/benchmarks/ai_load", url, *numbers]
    else:
        command = [sys.executable, __file__, "--measure", name, url, *numbers]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def middle(rows, value):
    return sorted(value(row) for row in rows)[len(rows) // 2]


def compare(build, server, kind, counts, at_once, turns):
    """The rows of each client, and the share of a core that the server took at most."""
    rows, busiest = {name: [] for name in counts}, 0.0
    for _ in range(turns):
        for name, count in counts.items():
            before, begin = server.cpu(), time.monotonic()
            rows[name].append(in_a_process(build, name, server.url, kind, count, at_once))
            busiest = max(busiest, (server.cpu() - before) / (time.monotonic() - begin))
    return rows, busiest


def tell_speed(what, rows, busiest):
    print(f"\n{what} (the server took at most {busiest:.0%} of a core)")
    rate = {name: middle(own, lambda row: row["pieces"] / row["seconds"]) for name, own in rows.items()}
    best = max(rate[name] for name in rate if name.startswith("openai"))
    for name, own in rows.items():
        cpu = middle(own, lambda row: row["cpu"] / row["pieces"] * 1e6)
        print(f"  {name:18} {rate[name]:10.0f}/s {cpu:9.1f} us CPU   {rate[name] / best:6.1f} x openai's better one")


def tell_memory(when, rows):
    print(f"\nmemory {when}: the most in RAM, and of that what is no page of a file")
    for what, title in (("memory", "in RAM"), ("own", "own")):
        of = {name: middle(own, lambda row: row[what]) for name, own in rows.items()}
        least = min(of[name] for name in of if name.startswith("openai"))
        for name, bytes_ in of.items():
            print(f"  {name:18} {bytes_ / 1e6:8.1f} MB {title:7} {bytes_ / least:6.2f} of openai's better one")


def main():
    import argparse

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a measurement takes")
    options = parser.parse_args()
    server = Server(options.build)
    names = [*CLIENTS, "C++"]
    try:
        for kind, what, first in (("answers", "answers", 500), ("events", "events of streams", 64)):
            counts = {}
            for name in names:  # as many as fill the time
                row = in_a_process(options.build, name, server.url, kind, first, options.at_once)
                counts[name] = max(first, int(first * options.seconds / row["seconds"]))
            rows, busiest = compare(options.build, server, kind, counts, options.at_once, options.turns)
            tell_speed(what, rows, busiest)
            tell_memory(f"of that, {options.at_once} at once", rows)
        holding = dict.fromkeys([*names, LIBCURL], HELD)
        rows, _ = compare(options.build, server, "held", holding, HELD, options.turns)
        tell_memory(f"with {HELD} streams open", rows)
    finally:
        server.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        name, url, kind, count, at_once = sys.argv[2:]
        measure(name, url, kind, int(count), int(at_once))
    else:
        main()

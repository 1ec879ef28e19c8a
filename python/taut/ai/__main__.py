"""The command line of taut.ai: `python -m taut.ai --help`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from .. import Error
from . import _command_cost
from ._backends import Provider
from ._client import Client
from ._config import ProviderConfig, anthropic, compatible, gemini, openai, perplexity, xai
from ._errors import ProviderError

_FACTORIES: dict[str, Any] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "xai": xai,
    "perplexity": perplexity,
}
_SERVERS = ("vllm", "ollama", "llama.cpp", "other")

_EXAMPLES = """examples:
  python -m taut.ai check                                        which providers have a key, and whether it works
  python -m taut.ai chat openai -m gpt-5-mini "Why is the sky blue?"
  python -m taut.ai models anthropic
  python -m taut.ai chat ollama --base-url http://localhost:11434/v1 -m llama3.2 "Hello"
  python -m taut.ai cost calls.jsonl --by model
  python -m taut.ai serve-fake openai --port 8000 --fault 429:2
keys come from the environment (OPENAI_API_KEY ...) or from --key-file; they are never taken from the command line."""


def _add_provider(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    names = [*_FACTORIES, *_SERVERS]
    parser.add_argument(
        "provider", choices=names, nargs="?" if is_optional else None, metavar="PROVIDER", help=f"one of {', '.join(names)}"
    )
    parser.add_argument("--base-url", metavar="URL", help="another address than the provider's own")
    parser.add_argument("--key-file", metavar="FILE", help="a file with the key, which only you may read")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for a whole call (default 60)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m taut.ai",
        description="AI providers from the command line.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="tell whether providers can be reached with their keys")
    _add_provider(check, is_optional=True)
    check.add_argument("-m", "--model", help="ask this model for one word, too (it costs a few tokens)")

    chat = commands.add_parser("chat", help="ask a model, and print its answer as it comes")
    _add_provider(chat)
    chat.add_argument("prompt", nargs="?", help="what to ask; from the standard input where it is not given")
    chat.add_argument("-m", "--model", required=True)
    chat.add_argument("-s", "--system", help="the system prompt")
    chat.add_argument("--max-tokens", type=int)
    chat.add_argument("--temperature", type=float)
    chat.add_argument("--json", action="store_true", help="ask for JSON")
    chat.add_argument("--no-stream", action="store_true", help="print the answer when it is complete")
    chat.add_argument("-v", "--verbose", action="store_true", help="tell usage and time on the standard error")

    models = commands.add_parser("models", help="list the models of a provider")
    _add_provider(models)

    cost = commands.add_parser("cost", help="sum up a log of calls (taut.ai.CallLog)")
    cost.add_argument("log", metavar="LOG")
    cost.add_argument("--by", choices=["provider", "model", "task", "day", "status"], default="model")
    cost.add_argument("--prices", metavar="FILE", help="a table of prices, for calls whose cost is not in the log")
    cost.add_argument("--json", action="store_true", help="print JSON")

    fake = commands.add_parser(
        "serve-fake",
        help="run a server that speaks a provider's language, for tests and work without a network",
        description="Listens on this machine alone until it is interrupted. It repeats what it is told, calls a tool when "
        "told to 'use NAME', and fills in JSON Schemas.",
    )
    from .fake import PROVIDERS

    fake.add_argument("provider", choices=PROVIDERS, metavar="PROVIDER", help=f"one of {', '.join(PROVIDERS)}")
    fake.add_argument("--port", type=int, default=0, help="default: any that is free")
    fake.add_argument("--model", action="append", metavar="NAME", help="a model that it has (default fake-model)")
    fake.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[:COUNT[:SECONDS]]",
        help="what it does wrong: a status (429:2 refuses two requests), disconnect, truncate, stall, slow, garbage, empty, "
        "html, quota, context, error-frame; may be given more than once",
    )
    fake.add_argument("-q", "--quiet", action="store_true", help="do not print requests")
    return parser


def _config(arguments: argparse.Namespace, name: str) -> ProviderConfig:
    options: dict[str, Any] = {}
    if arguments.key_file:
        options["key_file"] = arguments.key_file
    if name in _FACTORIES:
        if arguments.base_url:
            options["base_url"] = arguments.base_url
        config: ProviderConfig = _FACTORIES[name](**options)
        return config
    if not arguments.base_url:
        raise SystemExit(f"{name}: where is the server? pass --base-url http://localhost:PORT/v1")
    return compatible(name, arguments.base_url, server=name, **options)


def _provider(client: Client, arguments: argparse.Namespace, name: str, model: str = "") -> Provider:
    return client.provider(_config(arguments, name), model=model)


def _client(arguments: argparse.Namespace) -> Client:
    return Client(timeout=arguments.timeout, max_retries=1)


def _check_one(client: Client, arguments: argparse.Namespace, name: str) -> bool:
    config = _config(arguments, name)
    where = config.base_url
    if name in _FACTORIES and not config.has_key:
        print(f"{name:12} no key")
        return arguments.provider is None
    provider = client.provider(config, model=arguments.model or "")
    try:
        if arguments.model:
            provider.chat("Say yes.", max_tokens=1000)
            print(f"{name:12} ok: {arguments.model} answered, at {where}")
        elif name == "perplexity":
            print(f"{name:12} has a key; it lists no models: pass --model to ask one, at {where}")
        else:
            print(f"{name:12} ok: {len(provider.models())} models, at {where}")
        return True
    except ProviderError as error:
        print(f"{name:12} {error}")
        return False


def _check(arguments: argparse.Namespace) -> int:
    names = [arguments.provider] if arguments.provider else list(_FACTORIES)
    with _client(arguments) as client:
        results = [_check_one(client, arguments, name) for name in names]
    return 0 if all(results) else 1


def _chat(arguments: argparse.Namespace) -> int:
    prompt = arguments.prompt if arguments.prompt is not None else sys.stdin.read()
    if not prompt.strip():
        raise SystemExit("chat: there is nothing to ask; give a prompt, or text on the standard input")
    messages = [{"role": "user", "content": prompt}]
    if arguments.system:
        messages.insert(0, {"role": "system", "content": arguments.system})
    options: dict[str, Any] = {"max_tokens": arguments.max_tokens, "temperature": arguments.temperature}
    if arguments.json:
        options["response_format"] = "json"
    with _client(arguments) as client:
        provider = _provider(client, arguments, arguments.provider, arguments.model)
        if arguments.no_stream:
            response = provider.chat(messages, **options)
            print(response.text)
        else:
            with provider.stream(messages, **options) as stream:
                for event in stream:
                    if event.kind == "text":
                        print(event.text, end="", flush=True)
                print()
                response = stream.response
    for warning in response.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.verbose:
        usage = response.usage
        cost = "" if response.cost is None else f", US$ {response.cost:.6f}"
        print(
            f"{response.model}: {usage.input_total} tokens in, {usage.output_total} out{cost}, {response.seconds:.2f} s, "
            f"finish reason {response.finish_reason}",
            file=sys.stderr,
        )
    return 0


def _models(arguments: argparse.Namespace) -> int:
    with _client(arguments) as client:
        for model in sorted(_provider(client, arguments, arguments.provider).models(), key=lambda model: model.id):
            limit = f"\t{model.context_length} tokens" if model.context_length else ""
            print(f"{model.id}{limit}")
    return 0


def _serve_fake(arguments: argparse.Namespace) -> int:
    from .fake import serve

    log = None if arguments.quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    models = arguments.model or ["fake-model"]
    with serve(arguments.provider, faults=arguments.fault, models=models, port=arguments.port, log=log) as server:
        print(f"{arguments.provider} at {server.url}, models {', '.join(models)}; its key is {server._key}", flush=True)
        server.wait()
    return 0


def main(words: list[str] | None = None) -> int:
    """Runs a command; returns its exit code: 0, 1 for what failed, 2 for words that make no sense."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    # argparse gives an optional word up once it has seen an option behind the first word.
    if rest and arguments.command == "chat" and arguments.prompt is None and not rest[0].startswith("-"):
        arguments.prompt = rest.pop(0)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    commands = {
        "check": _check,
        "chat": _chat,
        "models": _models,
        "cost": _command_cost.run,
        "serve-fake": _serve_fake,
    }
    try:
        return commands[arguments.command](arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Error, OSError) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""The vendors' own libraries and taut.ai as clients of the same fake servers."""

import anthropic
import openai
import perplexity
from google import genai
from google.genai import types
from taut import ai

KEY = "fake-key"  # what a fake server takes
USER = [{"role": "user", "content": "Hello"}]
MODEL = "fake-model"


class Theirs:
    """One vendor's library, with the same words for all."""

    def __init__(self, server, max_retries=0):
        self.server, self.max_retries = server, max_retries
        self.client = self.made(server.url)

    @staticmethod
    def status_of(error):
        return error.status_code

    @staticmethod
    def request_id_of(error):
        return error.request_id

    def models(self):
        return [model.id for model in self.client.models.list()]


class OpenAI(Theirs):
    error = openai.APIStatusError
    connection_error = openai.APIConnectionError

    def made(self, url):
        return openai.OpenAI(api_key=KEY, base_url=url, max_retries=self.max_retries)

    def chat(self):
        return self.client.chat.completions.create(model=MODEL, messages=USER).choices[0].message.content

    def stream(self):
        chunks = self.client.chat.completions.create(model=MODEL, messages=USER, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    def embed(self, texts, model=MODEL, **options):
        response = self.client.embeddings.create(model=model, input=texts, **options)
        return [item.embedding for item in sorted(response.data, key=lambda item: item.index)]

    @staticmethod
    def words_of(error):
        """Type, code and message."""
        return error.type or "", str(error.code or ""), error.body["message"]


class Anthropic(Theirs):
    error = anthropic.APIStatusError
    connection_error = anthropic.APIConnectionError

    def made(self, url):
        return anthropic.Anthropic(api_key=KEY, base_url=url, max_retries=self.max_retries)

    def chat(self):
        message = self.client.messages.create(model=MODEL, max_tokens=99, messages=USER)
        return "".join(block.text for block in message.content)

    def stream(self):
        with self.client.messages.stream(model=MODEL, max_tokens=99, messages=USER) as stream:
            return "".join(stream.text_stream)

    @staticmethod
    def words_of(error):
        return error.body["error"]["type"], "", error.body["error"]["message"]


class Gemini(Theirs):
    error = genai.errors.APIError
    connection_error = Exception  # of the library below

    def made(self, url):
        retries = types.HttpRetryOptions(attempts=self.max_retries + 1, initial_delay=0.01, max_delay=0.01)
        options = types.HttpOptions(base_url=url, api_version="v1beta", retry_options=retries)
        return genai.Client(api_key=KEY, http_options=options)

    def chat(self):
        return self.client.models.generate_content(model=MODEL, contents="Hello").text

    def stream(self):
        parts = self.client.models.generate_content_stream(model=MODEL, contents="Hello")
        return "".join(part.text or "" for part in parts)

    def embed(self, texts):
        response = self.client.models.embed_content(model=MODEL, contents=texts)
        return [item.values for item in response.embeddings]

    def models(self):
        return [model.name.removeprefix("models/") for model in self.client.models.list(config={"query_base": True})]

    @staticmethod
    def status_of(error):
        return error.code

    @staticmethod
    def request_id_of(error):
        return ""

    @staticmethod
    def words_of(error):
        return error.status, "", error.message


class Perplexity(OpenAI):
    error = perplexity.APIStatusError
    connection_error = perplexity.APIConnectionError

    def made(self, url):
        return perplexity.Perplexity(api_key=KEY, base_url=url, max_retries=self.max_retries)

    @staticmethod
    def request_id_of(error):
        return ""

    @staticmethod
    def words_of(error):
        said = error.body["error"] if "error" in error.body else error.body
        return said.get("type", ""), str(said.get("code", "")), said["message"]


class XAI(OpenAI):
    """OpenAI's library, as many use it for xAI's REST; their own speaks gRPC (xai_grpc_test.py)."""

    @staticmethod
    def words_of(error):
        said = error.response.json()
        if isinstance(said["error"], dict):
            return said["error"]["type"], said["error"]["code"], said["error"]["message"]
        return "", said["code"], said["error"]


THEIRS = {"openai": OpenAI, "anthropic": Anthropic, "gemini": Gemini, "perplexity": Perplexity, "xai": XAI}


def own(server, max_retries=0):
    """taut.ai for the same server: the client, which has to be kept, and the provider."""
    client = ai.Client(max_retries=max_retries, seed=1)
    return client, client.provider(server.config(), model=MODEL)

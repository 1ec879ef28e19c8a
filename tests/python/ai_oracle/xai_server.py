"""xAI's gRPC server, made of the classes that its own library was generated with. It says what it is told to."""

import concurrent.futures

import grpc
from taut.ai.fake import Reply
from taut.ai.fake._openai import token_logprobs
from xai_sdk.proto import chat_pb2, chat_pb2_grpc, sample_pb2, usage_pb2


def logprobs_of(pieces, others):
    entries = []
    for token in token_logprobs(pieces, others):
        top = [
            chat_pb2.TopLogProb(token=other["token"], logprob=other["logprob"], bytes=bytes(other["bytes"]))
            for other in token["top_logprobs"]
        ]
        entries.append(
            chat_pb2.LogProb(
                token=token["token"], logprob=token["logprob"], bytes=bytes(token["bytes"]), top_logprobs=top
            )
        )
    return chat_pb2.LogProbs(content=entries)


def calls_of(reply, text_of):
    return [
        chat_pb2.ToolCall(
            id=f"call_fake_{index}",
            type=chat_pb2.TOOL_CALL_TYPE_CLIENT_SIDE_TOOL,
            function=chat_pb2.FunctionCall(name=name, arguments=text_of(arguments)),
        )
        for index, (name, arguments) in enumerate(reply.tool_calls)
    ]


class Chat(chat_pb2_grpc.ChatServicer):
    def __init__(self, text_of):
        self.reply, self.seen, self.failures = Reply("nothing"), [], []
        self._text_of = text_of  # how arguments of calls are written

    def _begin(self, request, context):
        self.seen.append((request, dict(context.invocation_metadata())))
        if self.failures:
            context.abort(*self.failures.pop(0))

    def _usage(self):
        reply = self.reply
        total = reply.input_tokens + reply.output_tokens
        return usage_pb2.SamplingUsage(
            prompt_tokens=reply.input_tokens,
            completion_tokens=reply.output_tokens - reply.reasoning_tokens,
            reasoning_tokens=reply.reasoning_tokens,
            total_tokens=total,
            cost_in_usd_ticks=10_000 * total,
        )

    def _finish(self):
        if self.reply.tool_calls:
            return sample_pb2.REASON_TOOL_CALLS
        return sample_pb2.REASON_MAX_LEN if self.reply.is_cut else sample_pb2.REASON_STOP

    def GetCompletion(self, request, context):
        self._begin(request, context)
        reply = self.reply
        message = chat_pb2.CompletionMessage(
            content="" if reply.tool_calls else reply.text,
            reasoning_content=reply.reasoning,
            role=chat_pb2.ROLE_ASSISTANT,
            tool_calls=calls_of(reply, self._text_of),
        )
        outputs = [
            chat_pb2.CompletionOutput(
                finish_reason=self._finish(),
                index=index,
                message=message,
                logprobs=logprobs_of(reply.pieces(), request.top_logprobs) if request.logprobs else None,
            )
            for index in range(request.n or 1)
        ]
        return chat_pb2.GetChatCompletionResponse(
            id="id-1", model=request.model, outputs=outputs, usage=self._usage(), citations=reply.citations
        )

    def GetCompletionChunk(self, request, context):
        self._begin(request, context)
        reply = self.reply
        deltas = [{"reasoning_content": reply.reasoning}] if reply.reasoning else []
        deltas += [{"content": piece} for piece in ([] if reply.tool_calls else reply.pieces())]
        deltas += [{"tool_calls": [call]} for call in calls_of(reply, self._text_of)]
        for number, delta in enumerate(deltas, 1):
            is_last = number == len(deltas)
            with_logprobs = request.logprobs and "content" in delta
            output = chat_pb2.CompletionOutputChunk(
                index=0,
                delta=chat_pb2.Delta(role=chat_pb2.ROLE_ASSISTANT, **delta),
                logprobs=logprobs_of([delta["content"]], request.top_logprobs) if with_logprobs else None,
                finish_reason=self._finish() if is_last else None,
            )
            yield chat_pb2.GetChatCompletionChunk(
                id="id-1", model=request.model, outputs=[output], usage=self._usage() if is_last else None
            )


class Server:
    def __init__(self, text_of):
        self.chat = Chat(text_of)
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        chat_pb2_grpc.add_ChatServicer_to_server(self.chat, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self):
        self._server.stop(None).wait()

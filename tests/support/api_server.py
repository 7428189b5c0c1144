"""A server that speaks the Messages API as far as we use it, scripted per test; the real SDK talks to it.

Each request takes the next `Reply` of the script. The server is strict where the real one is: a conversation that it
would refuse gets a 400, whatever the script says, and the test sees it in `problems`. That covers roles and tool
results in their places, no empty text, at most four cache marks, no forced tools, and thinking whose past was changed.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Block = dict[str, Any]
USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000, "output_tokens": 40}


@dataclass(frozen=True)
class Reply:
    """How one request is answered."""

    blocks: tuple[Block, ...] = ()
    stop_reason: str = ""
    usage: dict[str, Any] = field(default_factory=lambda: dict(USAGE))
    status: int = 200
    error: tuple[str, str] = ("", "")
    """(type, message): the body of a status other than 200, or an event in the middle of the stream."""
    headers: dict[str, str] = field(default_factory=dict)
    ends: str = ""
    """`cut` closes the connection in the middle, `stall` goes silent, `pings` sends nothing but pings, `error` sends
    an error event, `garbage` sends no events at all."""
    latency_s: float = 0.0
    between_s: float = 0.0
    """Pause before each event."""
    model: str = ""


def use(name: str, *, raw: str | None = None, **given: Any) -> Block:
    """A tool call; `raw` is sent in place of the input's JSON."""
    return {"type": "tool_use", "name": name, "id": "", "input": given, "raw": raw}


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def think(words: str) -> Block:
    return {"type": "thinking", "thinking": words}


def says(*blocks: Block, **more: Any) -> Reply:
    return Reply(blocks=blocks, **more)


def fails(status: int, kind: str, message: str, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, error=(kind, message), headers=named)


Script = Callable[[dict[str, Any]], Reply]


class Server:
    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        """Bodies, in order."""
        self.headers: list[dict[str, str]] = []
        self.problems: list[str] = []
        self.script: list[Reply | Script] = []
        self.default: Script | None = None
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._calls = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def will(self, *replies: Reply | Script) -> None:
        self.script.extend(replies)

    def close(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def said(self, at: int = -1) -> str:
        """The whole body of a request, as text."""
        return json.dumps(self.requests[at], ensure_ascii=False)

    def told(self, at: int = -1) -> str:
        """The texts and tool results of the last message of a request."""
        blocks = self.requests[at]["messages"][-1]["content"]
        return "\n".join(block.get("text") or str(block.get("content", "")) for block in blocks)

    def answer(self, body: dict[str, Any], headers: dict[str, str]) -> Reply:
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            problem = _problem(body)
            if problem:
                self.problems.append(problem)
                return fails(400, "invalid_request_error", problem)
            if self.script:
                step = self.script.pop(0)
            elif self.default is not None:
                step = self.default
            else:
                self.problems.append("a request that the script does not expect")
                return fails(400, "invalid_request_error", "the script is over")
            reply = step(body) if callable(step) else step
            return replace(reply, blocks=tuple(self._numbered(block) for block in reply.blocks))

    def _numbered(self, block: Block) -> Block:
        if block["type"] == "tool_use" and not block["id"]:
            self._calls += 1
            return {**block, "id": f"toolu_{self._calls:04d}"}
        return block


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


# -- what the real API refuses


def _problem(body: dict[str, Any]) -> str:
    for key in ("model", "max_tokens", "messages", "stream"):
        if not body.get(key):
            return f"{key}: Field required"
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        return "tool_choice forces tool use is not compatible with this model."
    marks = json.dumps(body).count('"cache_control"')
    if marks > 4:
        return f"A maximum of 4 blocks with cache_control may be provided. Found {marks}."
    thinking = body.get("thinking", {}).get("type")
    if body["model"] == "claude-opus-5-5" and thinking in ("enabled", "disabled"):
        return f'"thinking.type.{thinking}" is not supported for this model.'
    return _turns(body)


def _turns(body: dict[str, Any]) -> str:
    open_calls: list[str] = []
    for at, message in enumerate(body["messages"]):
        blocks = message["content"]
        if not blocks:
            return f"messages.{at}: all messages must have non-empty content"
        if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
            return f"messages.{at}: text content blocks must be non-empty"
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if results != open_calls:
            return (
                f"messages.{at}: tool_use ids {open_calls} were found without tool_result blocks right after: {results}"
            )
        if any(block["type"] == "tool_result" for block in blocks[len(results) :]):
            return f"messages.{at}: tool results have to come first"
        for k, block in enumerate(blocks):
            if block["type"] == "thinking" and block.get("signature") != _signature(body, at):
                return (
                    f"messages.{at}.content.{k}: Invalid `signature`. The block is bound to a different conversation."
                )
        open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if open_calls and message["role"] != "assistant":
            return f"messages.{at}: tool_use in a user message"
    return "" if body["messages"][-1]["role"] == "user" else "the conversation must end with a user message"


def _signature(body: dict[str, Any], at: int) -> str:
    """Over everything before message `at`, cache marks aside: what thinking is bound to."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key != "cache_control"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    past = plain([body.get("system"), body.get("tools"), body["messages"][:at]])
    return hashlib.sha256(json.dumps(past, sort_keys=True).encode()).hexdigest()


# -- the wire


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            reply = server.answer(body, {key.lower(): value for key, value in self.headers.items()})
            if reply.latency_s:
                time.sleep(reply.latency_s)
            if self.path != "/v1/messages":
                reply = fails(404, "not_found_error", f"no such path: {self.path}")
            try:
                if reply.status != 200:
                    self._refuse(reply)
                else:
                    self._stream(body, reply)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _refuse(self, reply: Reply) -> None:
            kind, message = reply.error
            data = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(data))}.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, body: dict[str, Any], reply: Reply) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            if reply.ends == "garbage":
                self.wfile.write(b"<html>\xff no stream</html>\n\n")
                return
            events = list(_events(body, reply))
            whole = events if not reply.ends else events[: max(1, len(events) // 2)]
            for kind, data in whole:
                time.sleep(reply.between_s)
                self._event(kind, {"type": kind, **data})
            if reply.ends == "error":
                self._event(
                    "error", {"type": "error", "error": dict(zip(("type", "message"), reply.error, strict=True))}
                )
            while reply.ends in ("stall", "pings") and not server.over.wait(0.02):
                if reply.ends == "pings":
                    self._event("ping", {"type": "ping"})

        def _event(self, kind: str, data: dict[str, Any]) -> None:
            self.wfile.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _events(body: dict[str, Any], reply: Reply) -> Iterator[tuple[str, dict[str, Any]]]:
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": reply.model or body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {**reply.usage, "output_tokens": 1},
    }  # fmt: skip
    yield "message_start", {"message": message}
    for index, block in enumerate(reply.blocks):
        yield from _block(index, block, body)
    calls = any(block["type"] == "tool_use" for block in reply.blocks)
    stop_reason = reply.stop_reason or ("tool_use" if calls else "end_turn")
    usage = {"output_tokens": reply.usage["output_tokens"]}
    yield "message_delta", {"delta": {"stop_reason": stop_reason, "stop_sequence": None}, "usage": usage}
    yield "message_stop", {}


def _block(index: int, block: Block, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    deltas: list[dict[str, Any]]
    if block["type"] == "tool_use":
        start = {"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}
        data = json.dumps(block["input"]) if block["raw"] is None else block["raw"]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in _parts(data)]
    elif block["type"] == "thinking":
        start = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": part} for part in _parts(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": _signature(body, len(body["messages"]))})
    else:
        start = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in _parts(block["text"])]
    yield "content_block_start", {"index": index, "content_block": start}
    for delta in deltas:
        yield "content_block_delta", {"index": index, "delta": delta}
    yield "content_block_stop", {"index": index}


def _parts(data: str, size: int = 7) -> list[str]:
    return [data[at : at + size] for at in range(0, len(data), size)]

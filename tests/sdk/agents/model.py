"""A model and a card processor that are pretended, on one port. The model does what the user's last sentence says: `charge 500`
or `payout 500` makes it call that tool, and what the tool answered is what it says. It speaks the Responses API and chat
completions, as far as the two agent SDKs read them.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

requests = []  # (method, path, headers, body)
lock = threading.Lock()


def wish(text):
    """The tool that the user wants, and its arguments; nothing if it is plain talk."""
    words = text.split()
    if len(words) == 2 and words[0] in ("charge", "payout") and words[1].isdigit():
        return words[0], json.dumps({"cents": int(words[1])})
    return None


def text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def responses(body):
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    output = [item["output"] for item in items if item.get("type") == "function_call_output"]
    user = [text_of(item.get("content")) for item in items if item.get("role") == "user"]
    wanted = wish(user[-1])
    if output or not wanted:
        said = f"The tool said: {text_of(output[-1])}" if output else "Nothing to do."
        content = [{"type": "output_text", "text": said, "annotations": []}]
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    else:
        item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed"}
        item |= {"name": wanted[0], "arguments": wanted[1]}
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    usage |= {"output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body["model"],
        "output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage,
        "service_tier": "default",
    }


def chat(body):
    messages = body["messages"]
    output = [m["content"] for m in messages if m["role"] == "tool"]
    wanted = wish([text_of(m["content"]) for m in messages if m["role"] == "user"][-1])
    message = {"role": "assistant", "content": None}
    if output or not wanted:
        message["content"] = f"The tool said: {text_of(output[-1])}" if output else "Nothing to do."
    else:
        function = {"name": wanted[0], "arguments": wanted[1]}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, "service_tier": "default",
    }


def charge(form):
    amount = int(form["amount"][0])
    return {
        "id": "ch_1", "object": "charge", "amount": amount, "amount_captured": amount, "amount_refunded": 0,
        "currency": form["currency"][0], "paid": True, "captured": True, "status": "succeeded", "refunded": False,
        "livemode": True,
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        with lock:
            requests.append(("POST", self.path, dict(self.headers), body))
        path = self.path.split("?")[0]
        if path == "/v1/responses":
            self.answer(200, responses(json.loads(body)))
        elif path == "/v1/chat/completions":
            self.answer(200, chat(json.loads(body)))
        elif path == "/v1/charges":
            self.answer(200, charge(parse_qs(body)))
        else:
            self.answer(404, {"error": {"message": f"no {path} here", "type": "invalid_request_error"}})

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def start(port):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def seen(path):
    """The requests of a path so far, each with its body."""
    with lock:
        return [(headers, body) for _, p, headers, body in requests if p.split("?")[0] == path]


def env(name):
    import os

    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set; tests/agents.rs says what it holds")
    return value

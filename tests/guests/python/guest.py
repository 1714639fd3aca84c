"""Each tool tries, the way a Python programmer would, something that was not granted."""

import errno
import json
import os
import socket
import sys
import time
import urllib.request
from urllib.parse import urlsplit

import wit_world
from componentize_py_types import Err, Ok
from wit_world.exports.tool import Content_Text, Context, Descriptor, Effects, Output
from wit_world.imports import ml_intern_plugin_types as types
from wit_world.imports import outgoing_handler, random as entropy_of_the_host
from wit_world.imports import wasi_keyvalue_store as keyvalue
from wit_world.imports.wasi_http_types import (
    Fields, Method_Get, OutgoingRequest, Scheme_Http, Scheme_Https,
)

#: What a call leaves behind for the next one, if it can.
LEFT = []


def connect(told):
    with socket.create_connection((told["host"], told["port"]), timeout=5) as opened:
        opened.sendall(b"GET /socket HTTP/1.0\r\n\r\n")
        return opened.recv(4096).decode()


def datagram(told):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        return opened.sendto(b"x", (told["host"], told["port"]))


def bind(told):
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        return opened.getsockname()


def resolve(told):
    return socket.getaddrinfo(told["host"], 443)


def urlopen(told):
    with urllib.request.urlopen(told["url"], timeout=5) as response:
        return response.read().decode()


def fetch(told):
    """Follows redirects, as HTTP libraries do."""
    url = told["url"]
    for _ in range(5):
        status, location, body = get(url)
        if status not in (301, 302, 303, 307, 308) or not told.get("follow"):
            return f"{status} {body}"
        url = location
    raise OSError("too many redirects")


def get(url):
    parts = urlsplit(url)
    request = OutgoingRequest(Fields.from_list([]))
    request.set_method(Method_Get())
    request.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + ("?" + parts.query if parts.query else ""))
    future = outgoing_handler.handle(request, None)
    with future.subscribe() as ready:
        ready.block()
    answered = future.get()
    if isinstance(answered, Ok):
        answered = answered.value
    if isinstance(answered, Err):
        raise OSError(f"the request failed: {answered.value}")
    response = answered.value
    headers = {name.lower(): value.decode() for name, value in response.headers().entries()}
    return response.status(), headers.get("location"), read(response)


def read(response):
    chunks = []
    body = response.consume()
    with body.stream() as stream:
        while True:
            try:
                chunk = stream.blocking_read(65536)
            except Err as error:
                if "Closed" in type(error.value).__name__:
                    break
                raise OSError(f"the body failed: {error.value}") from error
            chunks.append(chunk)
    return b"".join(chunks).decode()


def open_file(told):
    with open(told["path"]) as opened:
        return opened.read()


def write_file(told):
    with open(told["path"], "w") as opened:
        return opened.write("by the guest")


def hard_link(told):
    return os.link(told["path"], "/workspace/hard.txt")


def soft_link(told):
    os.symlink(told["path"], "/workspace/soft.txt")
    with open("/workspace/soft.txt") as opened:
        return opened.read()


def surroundings(told):
    def listed(path):
        try:
            return sorted(os.listdir(path))
        except OSError as error:
            return f"refused {errno.errorcode.get(error.errno, error.errno)}"

    return json.dumps({
        "variables": dict(os.environ),
        "arguments": sys.argv[1:],
        "root": listed("/"),
        "home": listed("/home"),
        "process": listed("/proc/self"),
    })


def program(told):
    import subprocess
    return subprocess.run(["env"], capture_output=True, check=True).stdout.decode()


def fork(told):
    return os.fork()


def thread(told):
    import threading
    started = threading.Thread(target=lambda: None)
    started.start()
    started.join()
    return "ran a thread"


def foreign_code(told):
    import ctypes
    return ctypes.CDLL(None).getpid()


def burn(told):
    for _ in range(told["amount"] * 1_000_000):
        pass
    return "done"


def nap(told):
    time.sleep(told["amount"] / 1000)
    return "done"


def eat(told):
    eaten = [bytearray(1 << 20) for _ in range(told["amount"])]
    return f"{len(eaten)} MiB"


def recurse(told):
    sys.setrecursionlimit(1 << 30)

    def deep(left):
        return 0 if left == 0 else deep(left - 1) + 1

    return deep(told["amount"])


def entropy(told):
    return len(entropy_of_the_host.get_random_bytes(told["amount"]))


def flood(told):
    for _ in range(told["amount"]):
        print("x" * 1023)
    return "done"


def leave(told):
    sys.exit(0)


def remember(told):
    LEFT.append(told["text"])
    os.environ["LEFT"] = told["text"]
    return "left"


def recall(told):
    return f"{LEFT} {os.environ.get('LEFT')}"


def keys(told):
    bucket = keyvalue.open("session")
    return json.dumps(bucket.list_keys(None).keys)


TOOLS = {
    tool.__name__: tool
    for tool in (
        connect, datagram, bind, resolve, urlopen, fetch, open_file, write_file, hard_link,
        soft_link, surroundings, program, fork, thread, foreign_code, burn, nap, eat, recurse,
        entropy, flood, leave, remember, recall, keys,
    )
}

SCHEMA = json.dumps({
    "type": "object",
    "properties": {
        "host": {"type": "string"},
        "port": {"type": "integer"},
        "url": {"type": "string"},
        "follow": {"type": "boolean"},
        "path": {"type": "string"},
        "amount": {"type": "integer"},
        "text": {"type": "string"},
    },
    "additionalProperties": False,
})


class Tool(wit_world.exports.Tool):
    def describe(self) -> list[Descriptor]:
        effects = Effects(read_only=False, destructive=False, idempotent=False, open_world=False)
        return [
            Descriptor(
                name="py_" + name, title=None, description=name, input_schema=SCHEMA,
                output_schema=None, effects=effects, operations=None,
            )
            for name in TOOLS
        ]

    def call(self, name: str, arguments: str, context: Context) -> Output:
        tool = TOOLS.get(name.removeprefix("py_"))
        if tool is None:
            raise Err(types.Error_NotFound(name))
        try:
            text = tool(json.loads(arguments))
        except PermissionError as error:
            raise Err(types.Error_Denied(types.Denial("python", repr(error)))) from error
        except Exception as error:  # pylint: disable=broad-except
            raise Err(types.Error_Internal(repr(error))) from error
        return Output(content=[Content_Text(str(text))], is_error=False)

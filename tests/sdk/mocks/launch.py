"""What the Python launchers here share: a listening loopback socket, and the one line that announces a server."""

import json
import os
import socket


def loopback() -> socket.socket:
    """A listening socket on a free port: connections wait in its queue until the server takes them."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    return sock


def announce(name: str, sock: socket.socket) -> None:
    """The line a test driver waits for: it is printed once, when connections are accepted."""
    print(json.dumps({"name": name, "port": sock.getsockname()[1], "pid": os.getpid()}), flush=True)

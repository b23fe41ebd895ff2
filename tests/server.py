"""A command that serves, and how its clients ask it."""

import http.client
import json
import re
from urllib.parse import urlsplit

import commands

SECONDS = 60


class Server:
    """`zoo COMMAND ARGUMENTS`, which listens on a free port."""

    def __init__(self, command: str, *arguments, **environment):
        self.command = commands.start(command, *arguments, "--port", "0", **environment)
        self.command.wait_until(lambda running: "Ctrl-C" in running.stdout)
        self.address = re.search(r"Open (\S+)", self.command.stdout)[1]
        self.port = urlsplit(self.address).port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def ask(self, method: str, path: str, body: bytes | None = None, headers=None) -> tuple[int, dict, dict]:
        """The status, the JSON and the headers of an answer; of what is no JSON, {"content": its bytes}."""
        connection = self.connect()
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json"
        is_text = (answer.headers["Content-Type"] or "").startswith("text/")
        found = json.loads(content) if is_json else {"text": content.decode()} if is_text else {"content": content}
        return answer.status, found, dict(answer.headers)

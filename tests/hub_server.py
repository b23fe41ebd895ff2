"""A stand-in of a model hub's HTTP API on loopback, as far as its own client asks: files lie in memory, by commit."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_the_right_one"
LARGE = 100_000  # from so many bytes on, a file goes by LFS
SHA = "a" * 40


class Hub(ThreadingHTTPServer):
    """What a hub holds: `files` of the one model, `repositories` that were made, and what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.objects, self.repositories, self.asked = {}, {}, set(), []
        self.dies = {}  # how often to answer 503, or to cut off, by a part of the address
        self.sizes = {}  # that are not true

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, value=None, status=200, body=None, **headers):
        data = body if body is not None else json.dumps(value if value is not None else {}).encode()
        self.send_response(status)
        for name, text in {"Content-Length": len(data), "Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), str(text))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def answer(self):
        hub, path, body = self.server, self.path.partition("?")[0], self.body()
        hub.asked.append((self.command, path))
        for part, left in hub.dies.items():
            if part in path and left > 0:
                hub.dies[part] -= 1
                return self.reply({"error": "busy"}, 503)
        is_right = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.command in ("POST", "PUT") and "/lfs/" not in path and not is_right and "validate-yaml" not in path:
            return self.reply({"error": "Invalid username or password."}, 401)
        if path == "/api/validate-yaml":
            return self.reply({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            name = json.loads(body)
            hub.repositories.add(f"{name['organization']}/{name['name']}")
            return self.reply({"url": f"{hub.address}/{name['organization']}/{name['name']}"})
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["size"] >= LARGE else "regular", "shouldIgnore": False}
                for f in asked
            ]
            return self.reply({"files": modes})
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            actions = lambda one: {"upload": {"href": f"{hub.address}/lfs/{one['oid']}"}}  # noqa: E731
            return self.reply({"transfer": "basic", "objects": [one | {"actions": actions(one)} for one in objects]})
        if path.startswith("/lfs/"):
            assert hashlib.sha256(body).hexdigest() == path.rpartition("/")[2]
            hub.objects[path.rpartition("/")[2]] = body
            return self.reply()
        if "/commit/" in path:
            return self.commit(body)
        return self.give(path)

    def commit(self, body):
        hub = self.server
        for line in body.decode().splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                hub.files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                hub.files[value["path"]] = hub.objects[value["oid"]]
            elif step["key"] == "deletedFile":
                del hub.files[value["path"]]
        self.reply({"success": True, "commitOid": SHA, "commitUrl": f"{hub.address}/ada/leaves/commit/{SHA}"})

    def give(self, path):
        hub = self.server
        if "/tree/" in path:
            listed = hub.files.items()
            return self.reply([{"type": "file", "path": n, "size": len(c), "oid": "b" * 40} for n, c in listed])
        if path.startswith("/api/models/ada/leaves"):
            siblings = [{"rfilename": n, "size": hub.sizes.get(n, len(c)), "blobId": "b"} for n, c in hub.files.items()]
            return self.reply({"id": "ada/leaves", "modelId": "ada/leaves", "sha": SHA, "siblings": siblings})
        name = path.partition(f"/resolve/{SHA}/")[2]
        if not path.startswith("/ada/leaves/") or name not in hub.files:
            return self.reply({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        data = hub.files[name]
        etag = hashlib.sha256(data).hexdigest()
        begin = int((self.headers.get("Range") or "bytes=0-").partition("=")[2].partition("-")[0])
        if hub.dies.get(f"cut {name}", 0) > 0 and self.command == "GET":
            hub.dies[f"cut {name}"] -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return None
        headers = {"X_Repo_Commit": SHA, "ETag": f'"{etag}"', "Accept_Ranges": "bytes"}
        if begin:
            headers["Content_Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        return self.reply(body=data[begin:], status=206 if begin else 200, **headers)

    do_GET = do_HEAD = do_POST = do_PUT = answer


@contextlib.contextmanager
def serving():
    """A hub, for the block."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()

"""Downloads, against a real server on the loopback that cuts, stalls, lies and counts what it sent."""

import errno
import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, named, randomize, unprivileged
from safetensors.numpy import save
from tensors import not_fetched

import zoo
from zoo.weights.catalog import ENTRIES, Entry
from zoo.weights.fetching import LIMITING, fetch
from zoo.weights.formats.tensors import WeightsError

CONTENT = np.random.default_rng(0).bytes(3 << 20)
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()
NAME = "weights.bin"


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; `limit` cuts, or with `stall` holds, each answer after so many bytes."""

    daemon_threads, ranges, limit, stall, chunked = True, True, None, None, False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests = {f"/{NAME}": CONTENT}, []  # (path, first byte, bytes sent)
        self.moved = {}  # path: (where to, further headers of the answer)
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, start = self.server, 0
        content = server.moved.get(self.path) or server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        if isinstance(content, tuple):
            return self.lead_on(*content)
        asked = self.headers.get("Range")
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:][: server.limit]
        if server.chunked:  # the first chunk is announced whole, so a cut falls inside it
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(f"{len(content) - start:x}\r\n".encode() * server.chunked + body)
        server.requests.append((self.path, start, len(body)))
        if server.stall:
            self.wfile.flush()
            server.stall.wait()
        self.close_connection = True

    def lead_on(self, target, headers):
        self.send_response(302)
        for name, value in {"Location": target, "Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def entry(server, hash=f"sha256:{SHA256}", name=NAME):
    address = server if isinstance(server, str) else server.address
    return Entry("lenet5", "test", f"{address}/{name}", hash, "keras", 0, None, "a test", "none")


UNREACHABLE = "http://127.0.0.1:1"  # a port that nobody may listen on without being root


# ---------------------------------------------------------------------------------------------- the good path
@pytest.mark.parametrize("hash", [f"sha256:{SHA256}", f"md5:{MD5}", f"sha256-prefix:{SHA256[:8]}"])
@pytest.mark.parametrize("ranges", [True, False])
def test_download_once_then_never_again(server, cache, hash, ranges, capsys):
    server.ranges = ranges
    path = fetch(entry(server, hash))
    assert path == cache / NAME and path.read_bytes() == CONTENT
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"{NAME}  3.1/3.1 MB")
    assert (cache / f"{NAME}.sha256").read_text().strip() == SHA256
    assert fetch(entry(server, hash)) == path
    assert len(server.requests) == 1
    assert capsys.readouterr().err == ""
    assert not (cache / f"{NAME}.part").exists()


def test_no_published_hash_keeps_the_first_digest(server, cache):
    model = randomize(zoo.lenet5())
    server.files["/lenet.safetensors"] = save(named(model))
    wanted = entry(server, "none", "lenet.safetensors")
    path = fetch(wanted)
    assert zoo.lenet5(weights=path).count_params() == 61_706
    assert (cache / "lenet.safetensors.sha256").read_text().strip() == hashlib.sha256(path.read_bytes()).hexdigest()


# ---------------------------------------------------------------------------------------------- licences
@pytest.mark.fault(
    "Weights",
    "Weights whose licence limits what they may be used for (CC-BY-NC, DINOv3's)",
    "The licence and where to read it are said on standard error before anything is asked of the publisher",
    "They were fetched without a word",
)
@pytest.mark.parametrize("license, address", LIMITING.items())
def test_a_licence_that_limits_is_said_before_the_download_and_once(server, license, address, capsys):
    limited = replace(entry(server), license=license)
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch(replace(limited, url=f"{UNREACHABLE}/{NAME}"))
    sentence = f"lenet5 weights 'test': the licence {license} limits what they may be used for: {address}"
    assert capsys.readouterr().err.splitlines() == [sentence] and server.requests == []
    fetch(limited)
    assert capsys.readouterr().err.startswith(f"{sentence}\n{NAME}  ")
    fetch(limited)  # from the cache
    assert capsys.readouterr().err == ""


def test_every_licence_of_the_catalog_that_limits_has_its_sentence():
    free = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "MIT"}
    assert {entry.license for entry in ENTRIES} - free == set(LIMITING)


# ---------------------------------------------------------------------------------------------- a hub
HUB = "timm/lenet.a1_in1k/resolve/main/model.safetensors"
CACHED = "lenet.a1_in1k.safetensors"


def hub(server, content=CONTENT, **stated):
    """Have the server answer as the Hugging Face hub: with the digest and size, and another address for the bytes."""
    headers = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
    headers |= {name.replace("_", "-"): value for name, value in stated.items()}
    server.moved[f"/{HUB}"] = (f"{server.address}/storage/again", {k: v for k, v in headers.items() if v})
    server.moved["/storage/again"] = ("/storage/file", {"ETag": '"another"'})  # the storage moves it on once more
    server.files["/storage/file"] = content
    return entry(server, "none", HUB)


def test_a_hub_states_the_digest(server, cache):
    assert fetch(hub(server)) == cache / CACHED
    assert (cache / CACHED).read_bytes() == CONTENT
    assert (cache / f"{CACHED}.sha256").read_text().strip() == SHA256


@pytest.mark.fault(
    "Weights",
    "A file of the hub, without a digest in the catalog, that is damaged or replaced on its way",
    "It is compared with the sha256 that the hub states in its first answer, and removed",
    "The digest of whatever came was taken for the right one: 144 of 272 files had no other",
)
@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"'])
def test_a_file_that_is_not_what_the_hub_states(form, server, cache):
    wanted = hub(server, X_Linked_Etag=form.format(SHA256.upper() if form == "{}" else SHA256))
    damaged = bytearray(CONTENT)
    damaged[1_000_000] ^= 1
    server.files["/storage/file"] = bytes(damaged)
    own = hashlib.sha256(damaged).hexdigest()
    not_fetched(wanted, f"has the sha256 {own}, not {SHA256} as its publisher has it", "it was removed")
    assert sorted(path.name for path in cache.iterdir()) == [f"{CACHED}.lock"]


def test_an_etag_of_another_kind_is_no_digest(server, cache):
    """Small files have git's sha1 there; then the file must at least be weights."""
    model = randomize(zoo.lenet5())
    content = save(named(model))
    for etag in ('"d670460b4b4aece5915caf5c68d12f560a9fe3e4"', "", "x" * 64):
        assert fetch(hub(server, content, X_Linked_Etag=etag)).read_bytes() == content
        (cache / CACHED).unlink()
        (cache / f"{CACHED}.sha256").unlink()
    with pytest.raises(WeightsError, match="holds no weights"):
        fetch(hub(server, CONTENT, X_Linked_Etag=""))


@pytest.mark.fault(
    "Weights",
    "A file in the cache that was damaged, or a file on the hub that was changed, since the first download",
    "The digest of the first download is kept beside the file and compared ever after; what differs is refused",
    "Nobody would know which of the two was used",
)
def test_the_first_download_is_pinned(server, cache):
    wanted = hub(server)
    path = fetch(wanted)
    path.write_bytes(CONTENT[:-1] + b"?")
    assert fetch(wanted).read_bytes() == CONTENT  # fetched again
    assert len(server.requests) == 2
    path.unlink()
    hub(server, CONTENT[::-1])
    message = not_fetched(
        wanted, "was changed", f"its publisher has sha256:{hashlib.sha256(CONTENT[::-1]).hexdigest()}", SHA256
    )
    assert f"{path}.sha256" in message and "it was not read" in message and not path.exists()
    hub(server, CONTENT[::-1], X_Linked_Etag="")  # nobody says it: the bytes do
    not_fetched(wanted, f"not {SHA256} as {path}.sha256 of the first download has it")
    Path(f"{path}.sha256").unlink()
    hub(server, CONTENT[::-1])
    assert fetch(wanted).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("hash", [f"md5:{MD5}", f"sha256-prefix:{SHA256[:8]}", f"sha256:{SHA256}"])
def test_the_catalog_and_the_hub_are_both_compared(hash, server, cache):
    hub(server)
    assert fetch(entry(server, hash, HUB)).read_bytes() == CONTENT
    (cache / CACHED).unlink()
    hub(server, CONTENT[::-1])
    not_fetched(entry(server, hash, HUB), "was changed", "it was not read")


def test_a_size_that_is_not_the_hubs_is_not_read(server, cache):
    wanted = hub(server, X_Linked_Size=str(len(CONTENT) - 1))
    not_fetched(wanted, "is announced with 3,145,728 bytes, where its publisher states 3,145,727", "it was not kept")
    server.chunked = True  # now nobody announces anything: the reading stops
    not_fetched(wanted, "has more than the 3,145,727 bytes that it may have", "it was not kept")
    assert sorted(path.name for path in cache.iterdir()) == [f"{CACHED}.lock"]


def test_more_than_any_such_file_has_is_not_read(server, cache, monkeypatch):
    monkeypatch.setattr("zoo.weights.fetching.MAX_OTHER_BYTES", 1 << 20)
    not_fetched(entry(server), "is announced with 3,145,728 bytes, where these weights need no more than 1,048,576")
    server.chunked = True
    not_fetched(entry(server), "has more than the 1,048,576 bytes that it may have")
    assert not (cache / f"{NAME}.part").exists()


def test_a_hubs_download_goes_on(server, cache):
    wanted, server.limit = hub(server), 1_600_000
    not_fetched(wanted, "broke off (1,600,000 of 3,145,728 bytes came)")
    server.limit = None
    assert fetch(wanted).read_bytes() == CONTENT
    assert server.requests[-1] == ("/storage/file", 1_600_000, len(CONTENT) - 1_600_000)


def test_a_mirrors_own_notes_are_compared(server, cache, tmp_path, monkeypatch):
    """One machine's cache is another's mirror: its digests stand for those that the hub would state."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / CACHED).write_bytes(CONTENT[:-1] + b"?")
    (mirror / f"{CACHED}.sha256").write_text(SHA256)
    monkeypatch.setenv("ZOO_MIRROR", str(mirror))
    not_fetched(entry(UNREACHABLE, "none", HUB), f"not {SHA256} as its publisher has it")
    (mirror / CACHED).write_bytes(CONTENT)
    assert fetch(entry(UNREACHABLE, "none", HUB)).read_bytes() == CONTENT


# ---------------------------------------------------------------------------------------------- wrong files
@pytest.mark.parametrize(
    "hash, kind", [(f"sha256:{SHA256}", "sha256"), (f"md5:{MD5}", "md5"), (f"sha256-prefix:{SHA256[:8]}", "sha256-prefix")]
)
def test_wrong_bytes_are_removed_and_told(server, cache, hash, kind):
    wrong = b"X" * len(CONTENT)
    server.files[f"/{NAME}"] = wrong
    digest = hashlib.new(kind[:6] if kind != "md5" else kind, wrong).hexdigest()
    not_fetched(entry(server, hash), f"the file from {server.address}/{NAME} has the {kind} {digest}", "it was removed")
    assert sorted(path.name for path in cache.iterdir()) == [f"{NAME}.lock"]
    server.files[f"/{NAME}"] = CONTENT
    assert fetch(entry(server, hash)).read_bytes() == CONTENT


@pytest.mark.parametrize("hash", ["none", f"md5:{MD5}"])
def test_a_page_in_place_of_the_file(server, cache, hash):
    server.files[f"/{NAME}"] = b"<!DOCTYPE html><html>Please log in to the network</html>"
    not_fetched(entry(server, hash), f"the file from {server.address}/{NAME}", "it was removed")
    assert sorted(path.name for path in cache.iterdir()) == [f"{NAME}.lock"]


def test_a_damaged_copy_is_fetched_again(server, cache):
    path = fetch(entry(server))
    with open(path, "r+b") as file:
        file.seek(1000)
        file.write(b"zz")
    assert fetch(entry(server)).read_bytes() == CONTENT
    assert len(server.requests) == 2


# ---------------------------------------------------------------------------------------------- broken off
@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(server, cache, ranges):
    server.ranges, server.limit = ranges, 1_600_000
    not_fetched(entry(server), "broke off (1,600,000 of 3,145,728 bytes came)", "goes on where it stopped")
    assert (cache / f"{NAME}.part").stat().st_size == 1_600_000 and not (cache / NAME).exists()
    server.limit = None
    assert fetch(entry(server)).read_bytes() == CONTENT
    start = 1_600_000 if ranges else 0
    assert server.requests[1:] == [(f"/{NAME}", start, len(CONTENT) - start)]


def test_a_cut_chunked_download_is_told(server):
    server.chunked, server.limit = True, 100_000
    not_fetched(entry(server), "broke off")


def test_a_part_longer_than_the_file_starts_again(server, cache):
    cache.mkdir(parents=True)
    (cache / f"{NAME}.part").write_bytes(CONTENT + b"more")
    assert fetch(entry(server)).read_bytes() == CONTENT


def child(entry, **options):
    """A process that fetches the entry."""
    code = f"from zoo.weights.catalog import Entry; from zoo.weights.fetching import fetch; print(fetch({entry!r}))"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.slow
def test_a_killed_download_goes_on(server, cache):
    server.stall, server.limit = threading.Event(), 1_600_000
    part = cache / f"{NAME}.part"
    with child(entry(server)) as process:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    have = part.stat().st_size
    assert 0 < have <= 1_600_000 and not (cache / NAME).exists()
    server.stall.set()
    server.limit = None
    assert fetch(entry(server)).read_bytes() == CONTENT
    assert server.requests[1:] == [(f"/{NAME}", have, len(CONTENT) - have)]


@pytest.mark.slow
@pytest.mark.slow
def test_two_processes_download_once(server, cache):
    server.stall = threading.Event()
    with child(entry(server)) as one, child(entry(server)) as two:
        deadline = time.monotonic() + 60
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(3)  # the other one has come to the lock by now
        server.stall.set()
        found = [process.communicate(timeout=60) for process in (one, two)]
    assert [out.strip() for out, _ in found] == [str(cache / NAME)] * 2, found
    assert len(server.requests) == 1
    assert (cache / NAME).read_bytes() == CONTENT


# ---------------------------------------------------------------------------------------------- no network
def test_offline_says_what_to_do(cache):
    wanted = entry(UNREACHABLE)
    not_fetched(
        wanted, f"no copy in {cache / NAME}", f"{UNREACHABLE}/{NAME} cannot be reached", f"put it there, as {cache / NAME}"
    )
    cache.mkdir(exist_ok=True)
    (cache / NAME).write_bytes(CONTENT)  # so it was put there by hand
    assert fetch(wanted) == cache / NAME
    assert (cache / f"{NAME}.sha256").read_text().strip() == SHA256


def test_a_wrong_file_put_by_hand_is_not_trusted(cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"something else")
    not_fetched(entry(UNREACHABLE), f"not {SHA256}")
    assert not (cache / NAME).exists()


def test_not_found_is_told(server):
    not_fetched(entry(server, name="other.bin"), f"{server.address}/other.bin cannot be reached (Not Found)")


@pytest.mark.parametrize("form", ["folder", "file", "http"])
def test_a_mirror_is_asked_instead(form, server, tmp_path, monkeypatch):
    mirror = tmp_path / "a mirror"
    mirror.mkdir()
    (mirror / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("ZOO_MIRROR", {"folder": str(mirror), "file": mirror.as_uri(), "http": f"{server.address}/"}[form])
    assert fetch(entry(UNREACHABLE)).read_bytes() == CONTENT
    assert len(server.requests) == (form == "http")
    not_fetched(entry(UNREACHABLE, name="other.bin"), "cannot be reached", "other.bin")


def test_files_of_one_name_on_the_hub_are_kept_apart(server, cache, tmp_path, monkeypatch):
    names = [f"timm/resnet18.{recipe}_in1k/resolve/main/model.safetensors" for recipe in ("a1", "a2")]
    server.files = {f"/{name}": CONTENT for name in names}
    paths = [fetch(entry(server, name=name)) for name in names]
    assert paths == [cache / "resnet18.a1_in1k.safetensors", cache / "resnet18.a2_in1k.safetensors"]
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "another"))
    monkeypatch.setenv("ZOO_MIRROR", str(cache))  # one machine's cache is another's mirror
    assert fetch(entry(UNREACHABLE, name=names[0])).read_bytes() == CONTENT


# ---------------------------------------------------------------------------------------------- read-only
@pytest.fixture
def readonly(monkeypatch):
    """A cache folder that anyone may read and nobody may write."""
    folder = Path(tempfile.mkdtemp())
    (folder / "weights").mkdir()
    monkeypatch.setenv("ZOO_CACHE", str(folder))
    folder.chmod(0o555)
    yield folder / "weights"
    for path in (folder, folder / "weights"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_cache_that_is_no_folder_is_told(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="cache folder .* cannot be made .*: set ZOO_CACHE to another"):
        fetch(entry(server))


def test_a_cache_on_a_file_system_that_is_read_only_is_told(server, cache, monkeypatch):
    def refuse(self, mode):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsError, match="is not writable: set ZOO_CACHE"):
        fetch(entry(server))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no POSIX permissions here")
def test_a_readonly_cache_is_used_or_told(readonly, server):
    readonly.chmod(0o555)
    with unprivileged(), pytest.raises(WeightsError, match=f"cache folder {readonly} is not writable: set ZOO_CACHE"):
        fetch(entry(server))
    readonly.chmod(0o755)
    path = fetch(entry(server))
    readonly.chmod(0o555)
    for _ in range(2):
        with unprivileged():
            assert fetch(entry(server)) == path
        readonly.chmod(0o755)
        (readonly / f"{NAME}.sha256").unlink(missing_ok=True)  # as put there by hand
        readonly.chmod(0o555)
    assert len(server.requests) == 1

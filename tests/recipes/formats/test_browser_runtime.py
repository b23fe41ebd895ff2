"""ONNX Runtime for browsers: fetched once, from a registry that lies in a folder here, and never another file."""

import base64
import hashlib
import io
import tarfile

import pytest

from recipes.errors import UserError
from recipes.formats import browser_runtime

MODULE = "const a=1,b=import.meta.url;export{a as InferenceSession,b as default};\n//# sourceMappingURL=x.map\n"
BINARY = b"\0asm" + bytes(1000)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package in a registry; tests fetch it into a cache of their own."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in ((browser_runtime.MODULE, MODULE.encode()), (browser_runtime.BINARY, BINARY)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path = tmp_path / "npm" / "onnxruntime-web" / "-" / browser_runtime.FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(file.getvalue())
    monkeypatch.setattr(browser_runtime, "BYTES", len(file.getvalue()))
    monkeypatch.setattr(browser_runtime, "SHA512", base64.b64encode(hashlib.sha512(file.getvalue()).digest()).decode())
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setenv("npm_config_registry", f"{(tmp_path / 'npm').as_uri()}/")
    return path


def test_it_is_fetched_once_and_read_without_a_network(package, tmp_path):
    found = browser_runtime.fetch()
    assert found == tmp_path / "cache" / "runtimes" / browser_runtime.FILE and found.read_bytes() == package.read_bytes()
    package.unlink()
    script, binary = browser_runtime.parts(browser_runtime.fetch())
    assert binary == BINARY
    assert script == "const a=1,b=self.location.href;\nconst ort={InferenceSession:a,default:b};\n"


@pytest.mark.fault(
    "Export",
    "no network, and no ONNX Runtime for browsers in the cache",
    "a sentence: which file to bring, from where, and where to put it",
    "machines without a network are common where pictures are private",
)
def test_without_a_network_it_is_said_what_to_put_where(package, tmp_path, monkeypatch):
    package.unlink()
    with pytest.raises(UserError) as error:
        browser_runtime.fetch()
    for word in (package.as_uri(), str(tmp_path / "cache" / "runtimes"), f"put it there, as {browser_runtime.FILE}"):
        assert word in str(error.value)
    monkeypatch.setenv("npm_config_registry", "https://ada:secret@localhost:9/npm")
    with pytest.raises(UserError, match=r"https://localhost:9/npm/onnxruntime-web/-/onnxruntime-web-[\d.]+tgz cannot") as error:
        browser_runtime.fetch()
    assert "secret" not in str(error.value)


@pytest.mark.fault(
    "Export",
    "a registry, or a cache, with another file of that name",
    "refused with a sentence; nothing of it is run",
    "the file becomes a program in everybody's browser",
)
def test_another_file_is_refused(package, tmp_path):
    good = package.read_bytes()
    for other, words in ((good[:-1] + b"?", "another SHA-512"), (good + b"?", "bytes"), (good[:-9], "bytes")):
        package.write_bytes(other)
        with pytest.raises(UserError, match=words):
            browser_runtime.fetch()
        assert not (tmp_path / "cache" / "runtimes" / browser_runtime.FILE).exists()
    package.write_bytes(good)
    cached = browser_runtime.fetch()
    cached.write_bytes(good[:-1] + b"?")
    with pytest.raises(UserError, match="is not onnxruntime-web.*Remove it"):
        browser_runtime.fetch()

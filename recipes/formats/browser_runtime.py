"""ONNX Runtime for browsers, as npm has it: fetched once into the cache, and the same to the bit wherever it comes from.

https://www.npmjs.com/package/onnxruntime-web, MIT. `npm_config_registry`, npm's own variable, names another registry;
the digest is what npm states as the file's integrity.
"""

import base64
import hashlib
import http.client
import os
import re
import tarfile
import urllib.error
from pathlib import Path

from recipes.errors import UserError, shown
from zoo.files import cache_folder, lock, publish
from zoo.weights.downloading import answer, receive
from zoo.weights.formats.tensors import WeightsError

VERSION = "1.30.0"
FILE = f"onnxruntime-web-{VERSION}.tgz"
BYTES = 33_106_585
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
REGISTRY, VARIABLES = "https://registry.npmjs.org", ("npm_config_registry", "NPM_CONFIG_REGISTRY")
# Of the package: a module without WebGPU and its like, and what it runs.
MODULE, BINARY = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
EXPORTED = re.compile(r"export\s*\{([^}]*)\}\s*;?")


def fetch() -> Path:
    """Get the path of the verified package in the cache, downloaded now if it is not there.

    Raises:
        UserError: it cannot be had, or what is there is another file.
    """
    address = f"{_registry()}/onnxruntime-web/-/{FILE}"
    try:
        target = cache_folder("runtimes") / FILE
        if not target.exists():
            _download(address, target)
    except (OSError, http.client.HTTPException, ValueError, WeightsError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        named = re.sub("//[^/@]*@", "//", address)  # without a password
        raise UserError(
            f"--to html needs ONNX Runtime for browsers: no copy in {shown(_place())}, and {shown(named)} cannot be had "
            f"({shown(getattr(error, 'reason', error))}): download it elsewhere and put it there, as {FILE}."
        ) from None
    if _digest(target) != SHA512:
        raise UserError(
            f"{shown(target)} is not {FILE} as npm has it: its SHA-512 is another. Remove it, and it is fetched anew."
        )
    return target


def parts(package: Path) -> tuple[str, bytes]:
    """Read the runtime's script, as a classic one that sets `ort`, and the WebAssembly that it runs."""
    found = {}
    with tarfile.open(package) as archive:
        for member in archive:
            if member.name in (MODULE, BINARY):
                found[member.name] = archive.extractfile(member).read()
    return classic(found[MODULE].decode()), found[BINARY]


def classic(module: str) -> str:
    """Make a classic script of a module: Chromium starts no worker from a module for a page that lies on the disk.

    What the module exports becomes the fields of `ort`.
    """
    (exported,) = EXPORTED.finditer(module)
    pairs = (pair.split(" as ") for pair in exported[1].split(","))
    fields = ",".join(f"{outer.strip()}:{inner.strip()}" for inner, outer in pairs)
    rest = module[exported.end() :].strip()
    if rest.count("\n") or not rest.startswith("//"):
        raise ValueError("The module of ONNX Runtime does not end with what it exports.")
    return f"{module[: exported.start()].replace('import.meta.url', 'self.location.href')}\nconst ort={{{fields}}};\n"


def _registry() -> str:
    """Name the registry: npm's, or the one that its variable names."""
    return next(filter(None, map(os.environ.get, VARIABLES)), REGISTRY).rstrip("/")


def _place() -> Path | str:
    """Name the folder of the cache, if there is one."""
    try:
        return cache_folder("runtimes")
    except OSError:
        return "the cache"


def _digest(path: Path) -> str:
    """Compute a file's digest as npm writes it."""
    with open(path, "rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def _download(address: str, target: Path) -> None:
    """Download the package, going on where it was cut off. Raises OSError, or WeightsError for another file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{FILE}.part")
    with lock(target.with_name(f"{FILE}.lock")):
        if target.exists():  # another process was first
            return
        part.open("ab").close()
        with answer(address, part.stat().st_size) as (response, _, start):
            receive(response, part, start, BYTES, BYTES, FILE)
        if _digest(part) != SHA512:
            part.unlink()
            raise WeightsError("what came has another SHA-512 than npm states")
        publish(part, target)

"""What holds the tensors of a file, by the structure at its beginning."""

import os

HDF5, SAFETENSORS, ZIP, PICKLE = "hdf5", "safetensors", "zip", "pickle"


def container_of(path: str | os.PathLike) -> str | None:
    """Tell what a file is; None for any other kind. No two begin alike, if enough of it is looked at."""
    with open(path, "rb") as file:
        head = file.read(16)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return HDF5
    if head[5:9] == b"\0\0\0{":  # a length in eight bytes, of which the first five may be any, and the header's first byte
        return SAFETENSORS
    if head.startswith((b"PK\3\4", b"PK\5\6")):  # not is_zipfile, to which a truncated one is none
        return ZIP
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return PICKLE
    return None

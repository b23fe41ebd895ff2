"""PyTorch's checkpoints written without PyTorch, opcode by opcode, sound or not."""

import pickle
import struct
import zipfile


def op(module, name):
    """Opcodes of a name of a module."""
    return b"c%s\n%s\n" % (module.encode(), name.encode())


def pickled(v):
    """Pickle opcodes (protocol 2) of an integer, a string, a bool or a tuple of them."""
    if isinstance(v, bytes):
        return v
    if isinstance(v, bool):
        return b"\x88" if v else b"\x89"
    if isinstance(v, int):
        return b"J" + struct.pack("<i", v)
    if isinstance(v, str):
        return b"X" + struct.pack("<I", len(v.encode())) + v.encode()
    return b"(" + b"".join(map(pickled, v)) + b"t"


def torch_tensor(storage, key, length, shape, stride, offset=0, legacy=False):
    """Opcodes of a tensor as `torch.save` writes it: a call of _rebuild_tensor_v2 on a persistent storage."""
    reference = ("storage", op("torch", storage), key, "cpu", length, *([b"N"] if legacy else []))
    hooks = op("collections", "OrderedDict") + b")R"
    arguments = (pickled(reference) + b"Q", offset, shape, stride, False, hooks)
    return op("torch._utils", "_rebuild_tensor_v2") + pickled(arguments) + b"R"


def torch_dict(tensors):
    """Opcodes of a dictionary of tensors."""
    return b"\x80\x02}(" + b"".join(pickled(name) + tensor for name, tensor in tensors.items()) + b"u."


def write_torch(path, content, storages, legacy):
    """A checkpoint without PyTorch: its index `content`, and the bytes of its storages."""
    if legacy:
        header = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        blocks = [struct.pack("<q", len(array)) + array.tobytes() for array in storages.values()]
        path.write_bytes(b"".join([*header, content, pickle.dumps(list(storages), 2), *blocks]))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/byteorder", "little")
            for key, array in storages.items():
                archive.writestr(f"archive/data/{key}", array.tobytes())
            archive.writestr("archive/version", "3\n")
    return path

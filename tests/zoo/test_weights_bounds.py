"""What a file of weights claims is compared with what it is: its kind, its sizes, the places of its tensors."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from helpers import named, randomize, write
from safetensors.numpy import save
from tensors import read, refused
from torch_files import op, pickled, torch_dict, torch_tensor, write_torch

import zoo
from recipes.errors import UserError
from recipes.runs import model_file

BOTH = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
GIGABYTE, MEGABYTE = 1 << 30, 1 << 20
BOMB = 128 * MEGABYTE  # by the rule it is one, and packed in a second


def peak(function) -> int:
    """The bytes by which this process grows at most while it runs a function."""

    def status(name):
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    try:
        Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew
    except OSError:
        pytest.skip("the highest memory use of a process cannot be had here")
    before = status("VmRSS:")
    function()
    return status("VmHWM:") - before


# ---------------------------------------------------------------------------------------------- kinds
def safetensors_with(length: int, tensors) -> bytes:
    """A sound file whose header has this length: its JSON may be padded by blanks."""
    whole = save(tensors)
    (own,) = struct.unpack("<Q", whole[:8])
    assert own <= length
    return struct.pack("<Q", length) + whole[8 : 8 + own].ljust(length) + whole[8 + own :]


@pytest.mark.fault(
    "Weights",
    "A `.safetensors` file whose first byte is that of a pickle (0x80) or whose first two are those of a zip",
    "It is read like any other",
    "The kind is decided by what its structure looks like, not by one byte",
)
def test_a_safetensors_header_may_have_any_length(tmp_path):
    tensors = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3)}
    path = tmp_path / "x.safetensors"
    base = 0x0400  # so that no length is shorter than the header
    lengths = [base + low for low in range(256)]
    lengths += [0x4B50, 0x04034B50 & 0xFFFFF, 0x0280, 0x0380, 0x0480, 0x0580, 0x4889, 0x1F8B]
    for length in lengths:
        path.write_bytes(safetensors_with(length, tensors))
        found = read(path)
        assert list(found) == ["a.weight"]
        np.testing.assert_array_equal(found["a.weight"], tensors["a.weight"])


def test_a_truncated_safetensors_file_is_no_damaged_pickle_or_zip(tmp_path):
    path = tmp_path / "x.safetensors"
    for length in (0x4B50, 0x0280, 0x0580):
        content = safetensors_with(length, {"a.weight": np.ones(100, "f4")})
        for end in (9, 20, length, len(content) - 1):
            path.write_bytes(content[:end])
            assert "pickle" not in refused(path, "is damaged")


def test_a_zip_without_arrays_and_a_foreign_pickle(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    refused(path, "zip archive without arrays")
    path.write_bytes(pickle.dumps({"a": 1}, 4))
    refused(path, "is a pickle, but not a PyTorch checkpoint")
    path.write_bytes(b"PK\3\4" + bytes(100))
    refused(path, "is damaged")


@pytest.mark.slow
@BOTH
def test_what_pytorch_itself_writes(legacy, tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32)
    state = {
        "plain.weight": base.reshape(4, 6),
        "turned.weight": base.reshape(4, 6).T,
        "tail.weight": base[20:],
        "wide.weight": base[:3].expand(5, 3),
        "half.weight": base[:4].half(),
        "empty.weight": torch.zeros(0, 3),
        "one.running_mean": torch.tensor(3.5),
        "count.num_batches_tracked": torch.tensor(7),
    }
    state["parameter.weight"] = torch.nn.Parameter(base[:2] + 1)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    found = read(tmp_path / "x.pth")
    assert found.keys() == state.keys() - {"count.num_batches_tracked"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, state[name].detach().numpy(), err_msg=name)


# ---------------------------------------------------------------------------------------------- views
def tensor_of(base: bytes, offset: object, shape: object, stride: object) -> bytes:
    """Opcodes of _rebuild_tensor_v2 on whatever `base` leaves on the stack."""
    hooks = op("collections", "OrderedDict") + b")R"
    return op("torch._utils", "_rebuild_tensor_v2") + pickled((base, offset, shape, stride, False, hooks)) + b"R"


def big(number: int) -> bytes:
    """The opcode of a long integer."""
    content = number.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


@pytest.mark.fault(
    "Weights",
    "A `.pth` file whose tensor is a view of another view, or of something that is no storage",
    "It is refused by name",
    "310 words from outside the file became weights, and a larger view ended the process",
)
@BOTH
def test_a_view_is_of_a_storage_alone(legacy, tmp_path):
    plain = torch_tensor("FloatStorage", "0", 1, (1000,), (0,), 0, legacy)  # a view of one number, a thousand times
    path, storages = tmp_path / "x.pth", {"0": np.ones(1, "<f4")}
    for base in (plain, pickled("text"), pickled(5), b"N", b"]", pickled((1, 2)), op("torch", "FloatStorage")):
        content = torch_dict({"a.weight": tensor_of(base, 0, (310,), (1,))})
        refused(write_torch(path, content, storages, legacy), "something that is no storage")
    parameter = op("torch._utils", "_rebuild_parameter") + pickled((pickled("text"), True, b"N")) + b"R"
    refused(write_torch(path, torch_dict({"a.weight": parameter}), storages, legacy), "something that is no tensor")


@BOTH
def test_no_opcode_changes_a_storage(legacy, tmp_path):
    """BUILD sets attributes of what was made: a longer storage, or a view that ends elsewhere."""
    reference = ("storage", op("torch", "FloatStorage"), "0", "cpu", 4, *([b"N"] if legacy else []))
    storage, tensor = pickled(reference) + b"Q", torch_tensor("FloatStorage", "0", 4, (4,), (1,), 0, legacy)
    path, storages = tmp_path / "x.pth", {"0": np.ones(4, "<f4")}
    for state in (b"}(" + pickled("size") + pickled(10**6) + b"u", b"N}(" + pickled("size") + pickled(10**6) + b"u\x86"):
        content = torch_dict({"a.weight": tensor_of(storage + state + b"b", 0, (1000,), (1,))})
        refused(write_torch(path, content, storages, legacy), "damaged|reaches beyond")
        content = torch_dict({"a.weight": tensor + state.replace(pickled("size"), pickled("shape")) + b"b"})
        refused(write_torch(path, content, storages, legacy), "damaged")


@BOTH
def test_no_view_leaves_its_storage(legacy, tmp_path):
    path, storages = tmp_path / "x.pth", {"0": np.ones(600, "<f4")}
    cases = [
        (0, (601,), (1,)),
        (600, (1,), (1,)),
        (-1, (1,), (1,)),
        (5, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (599, 2)),
        (0, (2,), (big(2**62),)),
        (big(2**62), (1,), (1,)),
        (0, (big(2**33), big(2**33)), (big(2**31), 1)),
    ]
    for offset, shape, stride in cases:
        tensor = torch_tensor("FloatStorage", "0", 600, shape, stride, offset, legacy)
        refused(write_torch(path, torch_dict({"a.weight": tensor}), storages, legacy), "reaches beyond its storage")
    for offset, shape, stride in [
        (pickled("0"), (1,), (1,)),
        (0, (pickled("1"),), (1,)),
        (0, (1, 1), (1,)),
        (0, 5, (1,)),
        (0, (1,), b"N"),
        (b"N", (1,), (1,)),
        (True, (1,), (1,)),
    ]:
        tensor = torch_tensor("FloatStorage", "0", 600, shape, stride, offset, legacy)
        refused(write_torch(path, torch_dict({"a.weight": tensor}), storages, legacy), "no row of numbers")


@BOTH
def test_a_storage_has_the_bytes_that_the_pickle_says(legacy, tmp_path):
    path, storages = tmp_path / "x.pth", {"0": np.ones(600, "<f4")}
    for kind, size in (("FloatStorage", 601), ("DoubleStorage", 600), ("FloatStorage", big(2**60)), ("FloatStorage", 599)):
        tensor = torch_tensor(kind, "0", size, (2,), (1,), 0, legacy)
        refused(write_torch(path, torch_dict({"a.weight": tensor}), storages, legacy), "declares|ends before")
    for size in (-1, pickled("9"), b"N"):
        tensor = torch_tensor("FloatStorage", "0", size, (2,), (1,), 0, legacy)
        refused(write_torch(path, torch_dict({"a.weight": tensor}), storages, legacy), "without a name and a size")


@BOTH
def test_a_number_repeated_without_end_takes_no_memory(legacy, tmp_path):
    tensor = torch_tensor("FloatStorage", "0", 1, (big(2**30),), (0,), 0, legacy)
    path = write_torch(tmp_path / "x.pth", torch_dict({"a.weight": tensor}), {"0": np.ones(1, "<f4")}, legacy)
    assert peak(lambda: refused(path, r"declares 4,\d{3},\d{3},\d{3}")) < 50 * MEGABYTE


@BOTH
def test_a_pickle_takes_no_more_memory_than_it_has_bytes(legacy, tmp_path):
    path = tmp_path / "x.pth"
    for harm in (b"r\x00\x00\x00\x10", b"\x96" + struct.pack("<Q", GIGABYTE), b"\x8e" + struct.pack("<Q", GIGABYTE)):
        content = b"\x80\x05}" + harm + b"."
        assert peak(lambda content=content: refused(write_torch(path, content, {}, legacy), "damaged")) < 50 * MEGABYTE


# ---------------------------------------------------------------------------------------------- memory
def zeros(file, size):
    for _ in range(size // MEGABYTE):
        file.write(bytes(MEGABYTE))


def zip_of_zeros(path, head=b"", name="model.weights.h5", size=BOMB, kind=zipfile.ZIP_DEFLATED):
    """An archive with one member of zeros."""
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.compress_type = kind
        with archive.open(info, "w", force_zip64=True) as file:
            file.write(head)
            zeros(file, size)
    return path


def header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "A `.npz`, `.keras`, `.pth` or `.h5` file of one or two megabytes that unpacks to gigabytes",
    "It is refused before anything is unpacked, and takes less than 50 MB",
    "2.4 and 5.5 GB of memory were taken before a shape was compared",
)
@pytest.mark.parametrize("kind", ["npz", "keras", "pth", "storage", "bzip2"])
def test_a_bomb_in_a_zip(kind, tmp_path):
    path = tmp_path / f"x.{kind}"
    if kind == "npz":
        zip_of_zeros(path, header((BOMB // 4,)), "c1/kernel.npy")
    elif kind == "bzip2":
        zip_of_zeros(path, header((BOMB // 4,)), "c1/kernel.npy", BOMB, zipfile.ZIP_BZIP2)
    else:
        zip_of_zeros(path, name={"keras": "model.weights.h5", "pth": "x/data.pkl", "storage": "x/data/0"}[kind])
    if kind == "storage":
        content = torch_dict({"a.weight": torch_tensor("FloatStorage", "0", BOMB // 4, (2,), (1,))})
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("x/data.pkl", content)
    assert path.stat().st_size < 2 * MEGABYTE
    assert peak(lambda: refused(path, r"declares \d{3},\d{3},\d{3}|packed as no program")) < 50 * MEGABYTE


def test_a_zip_that_lies_about_a_size(tmp_path):
    """The central directory says a hundred bytes; 128 MB would come."""
    path = zip_of_zeros(tmp_path / "x.keras", size=BOMB)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\1\2")
    extra = content.index(struct.pack("<HHQ", 1, 8, BOMB), place) if content[place + 24 : place + 28] == b"\xff" * 4 else 0
    content[place + 24 : place + 28] = struct.pack("<I", 100)
    if extra:
        content[extra + 4 : extra + 12] = struct.pack("<Q", 100)
    path.write_bytes(content)
    assert peak(lambda: refused(path, "damaged|ends within")) < 50 * MEGABYTE


@pytest.mark.parametrize("lie", ["shape", "block", "links"])
def test_a_bomb_in_hdf5(lie, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"c1"]
        group = file.create_group("c1")
        names = [f"c1/v{i}/kernel:0" for i in range(100 if lie == "links" else 1)]
        group.attrs["weight_names"] = [name.encode() for name in names]
        if lie == "block":  # a few numbers, whose block is a gigabyte when it is unpacked
            dataset = group.create_dataset(names[0], (6,), "f4", maxshape=(None,), chunks=(1 << 28,), compression="gzip")
        else:
            dataset = group.create_dataset(names[0], (1 << 13, 1 << 13), "f4", chunks=(1 << 10, 1 << 10), compression="gzip")
        for name in names[1:]:
            group[name] = dataset
    assert path.stat().st_size < MEGABYTE
    assert peak(lambda: refused(path, "declares")) < 50 * MEGABYTE


def test_a_shape_that_does_not_fit_is_never_read(tmp_path):
    """The whole of a sound file may be needed elsewhere: what the model has no place for takes no memory here."""
    tensors = named(randomize(zoo.lenet5()))
    path = tmp_path / "x.npz"
    np.savez(path, **tensors | {"c1/kernel": np.ones((5, 5, 1, 800_000), "f4")})
    assert peak(lambda: refused(path, "c1/kernel is", lambda path: zoo.lenet5(weights=path))) < 50 * MEGABYTE


def test_a_header_that_is_longer_than_its_file(tmp_path):
    path = tmp_path / "x.safetensors"
    text = json.dumps({"a": {"dtype": "F32", "shape": [1 << 28], "data_offsets": [0, 1 << 30]}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(100))
    assert peak(lambda: refused(path, "is damaged")) < 50 * MEGABYTE
    path.write_bytes(struct.pack("<Q", GIGABYTE) + text)
    assert peak(lambda: refused(path, "is damaged")) < 50 * MEGABYTE
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header((1 << 28,)) + bytes(100))
    assert peak(lambda: refused(path, "declares 1,073,741,824 bytes in 'a.npy' and holds 100")) < 50 * MEGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("lie", ["member", "config", "array"])
def test_a_bomb_as_a_finished_run(lie, tmp_path):
    """Keras would load it: its sizes are compared before."""
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Dense(2, name="d")(keras.layers.Flatten()(inputs)))
    path = tmp_path / "model.keras"
    model_file.save(model, path, "ab", {})
    if lie != "array":
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo({"member": "assets/x", "config": "metadata.json.bak"}[lie])
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                zeros(file, BOMB)
    else:
        write(model, tmp_path / "current.weights.h5")
        with h5py.File(tmp_path / "current.weights.h5", "r+") as file:
            variables = file["layers/dense/vars"]
            del variables["0"]
            variables.create_dataset("0", (16, 2), "f4", maxshape=(None, None), chunks=(1 << 14, 1 << 14), compression="gzip")
        with zipfile.ZipFile(path) as old:
            others = {name: old.read(name) for name in old.namelist() if name != "model.weights.h5"}
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "current.weights.h5", "model.weights.h5")
            for name, content in others.items():
                archive.writestr(name, content)

    def predicted():
        with pytest.raises(UserError, match="declares") as caught:
            model_file.read(tmp_path)
        assert os.fspath(path) in str(caught.value)

    assert peak(predicted) < 100 * MEGABYTE

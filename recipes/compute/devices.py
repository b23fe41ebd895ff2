"""Which accelerators there are."""

import os


def gpus() -> list[str]:
    """List the GPUs that the backend sees, as CUDA_VISIBLE_DEVICES names them."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        count = len(tf.config.list_physical_devices("GPU"))
    elif backend == "jax":
        import jax

        count = sum(device.platform == "gpu" for device in jax.local_devices())
    else:
        import torch

        count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:count] if visible else [str(number) for number in range(count)]


def capability() -> float:
    """Say which generation the GPUs are, as NVIDIA counts them (8.0 is Ampere): the oldest of them; 0 if it is not known."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
        found = [".".join(map(str, one.get("compute_capability", (0, 0)))) for one in details]
    elif backend == "jax":
        import jax

        found = [getattr(device, "compute_capability", "0") for device in jax.local_devices()]
    else:
        import torch

        numbers = range(torch.cuda.device_count())
        found = [".".join(map(str, torch.cuda.get_device_capability(number))) for number in numbers]
    try:
        return min(map(float, found), default=0.0)
    except ValueError:  # other makers count otherwise
        return 0.0

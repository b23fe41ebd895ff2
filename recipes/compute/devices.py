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

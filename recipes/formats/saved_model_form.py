"""SavedModel, TensorFlow's own form, for TensorFlow Serving and others; the facts lie in `assets.extra`, the place for such."""

from pathlib import Path

from recipes.formats.form import Form, Job
from recipes.formats.network import Network
from zoo.files import write_json

FILE = "saved_model"
FACTS = "assets.extra/facts.json"


def write(network: Network, folder: Path, job: Job) -> None:
    """Write the folder `saved_model`, with the one signature "serving_default"."""
    import keras

    archive = keras.export.ExportArchive()
    archive.track(network.model)
    archive.add_endpoint("serving_default", lambda image: network.answers(image), input_signature=[network.signature()])
    archive.write_out(folder / FILE, verbose=False)
    (folder / FILE / FACTS).parent.mkdir()
    write_json(folder / FILE / FACTS, job.facts)


SAVED_MODEL = Form("saved_model", FILE, {}, None, {"float32": True}, write)

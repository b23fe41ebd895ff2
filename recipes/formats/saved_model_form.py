"""SavedModel, TensorFlow's own form, for TensorFlow Serving and others; the facts lie in `assets.extra`, the place for such."""

from pathlib import Path

from recipes.formats.form import Form, Job
from recipes.formats.network import Network
from zoo.files import write_json

FILE = "saved_model"
FACTS = "assets.extra/facts.json"


def write(network: Network, folder: Path, job: Job) -> None:
    """Write the folder `saved_model`, with the one signature "serving_default".

    By TensorFlow itself: Keras' `ExportArchive` writes every weight twice.
    """
    import tensorflow as tf

    held = network.weights()
    function = tf.function(network.answers, [network.signature()], autograph=False)
    tf.saved_model.save(held, folder / FILE, signatures={"serving_default": function.get_concrete_function()})
    (folder / FILE / FACTS).parent.mkdir(exist_ok=True)
    write_json(folder / FILE / FACTS, job.facts)


SAVED_MODEL = Form("saved_model", FILE, {}, None, {"float32": True}, write)

"""Pictures whose answer a person has corrected on the page of `zoo serve`: kept with their labels, so that they can train.

A correction is by path, and a picture that was dropped onto a page lies nowhere: so it is kept, under a name that is its
content's, beside the table that says what it shows: zoo finetune FOLDER/pictures --corrections FOLDER/corrections.csv
"""

import hashlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from recipes.data.sources.corrections import RELABEL
from recipes.data.sources.corrections_file import CorrectionsFile
from recipes.data.sources.own import MARK
from recipes.errors import UserError, shown
from recipes.evaluation.tasks import LABEL_SEPARATOR
from recipes.web.refusals import Refusal
from zoo.disk import WriteError
from zoo.files import write_bytes

PICTURES, TABLE = "pictures", "corrections.csv"
NAME_LENGTH = 24  # hexadecimal digits of a content's SHA-256


class Collection:
    """The folder of corrected pictures. Threads may share one.

    Raises:
        UserError: it cannot be made, or holds another kind of table.
    """

    def __init__(self, folder: Path):
        try:
            (folder / PICTURES).mkdir(parents=True, exist_ok=True)
            (folder / MARK).touch()
        except OSError as error:
            raise UserError(f"--collect {shown(folder)} cannot be written ({error.strerror}): choose another.") from error
        self._pictures, self._table = folder / PICTURES, CorrectionsFile(folder / TABLE)

    def add(self, data: bytes, labels: Sequence[str]) -> str:
        """Keep a picture that can be read, and what it shows; return its name. The last word on a content counts.

        Raises:
            Refusal: it cannot be written.
        """
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
            name = f"{hashlib.sha256(data).hexdigest()[:NAME_LENGTH]}.{(image.format or 'bin').lower()}"
        try:
            if not (self._pictures / name).exists():
                write_bytes(self._pictures / name, data)
            self._table.set(name, (RELABEL, LABEL_SEPARATOR.join(labels)), "corrected on the page of zoo serve")
        except WriteError:
            raise Refusal(507, "The correction was not kept: the server cannot write it.") from None
        except UserError:
            raise Refusal(409, "The correction was not kept: another program has changed the table meanwhile.") from None
        return name

"""A model hub that speaks as Hugging Face's does, by its own client; every failure is a sentence that names no token.

`HF_ENDPOINT` names another hub than huggingface.co, `HF_TOKEN` or the client's own login says who sends. Files travel by plain
HTTP and not by Xet, which hubs within a company do not speak.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from recipes.errors import UserError, shown

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REFUSED = (401, 403)
NOT_FOUND = 404
# What HTTP libraries of the client's, of which each of its versions has another, call an error of the connection.
TRANSPORT = "TransportError"
# What the client and those who use it raise at answers that are not what a hub says.
FOREIGN_ANSWERS = (AttributeError, LookupError, TypeError, ValueError)


def client() -> "HfApi":
    """Make the hub's client, with the user's token if there is one.

    Raises:
        UserError: its library is not installed.
    """
    spec = importlib.util.find_spec("huggingface_hub")
    if spec is None or spec.origin is None:
        raise UserError("A model hub needs huggingface_hub, which is not installed: pip install huggingface_hub")
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # read when the library is imported
    from huggingface_hub import HfApi, constants, get_token

    constants.HF_HUB_DISABLE_XET = True
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=get_token() or False, library_name="keras")


@contextlib.contextmanager
def sentences(api: "HfApi", repository: str, then: str) -> Iterator[None]:
    """Turn what goes wrong with a hub into a UserError, which ends with what to do `then`."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # of the client, of its HTTP library and of what that is made of
        status = _status(error)
        if status is None and isinstance(error, OSError) and error.filename is not None:
            raise  # of the disk
        where = f"{repository} on {api.endpoint}"
        if status in REFUSED:
            reason = "the token is wrong, or may not do this: set HF_TOKEN to one that may, or use `hf auth login`"
        elif status == NOT_FOUND:
            reason = "there is no such model, or only those with a token may see it: look at the name, or set HF_TOKEN"
        elif status is None and isinstance(error, FOREIGN_ANSWERS):
            reason = "what answers there is no model hub, or speaks otherwise: look at HF_ENDPOINT"
        else:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            reason = reason.replace(api.token, "…") if api.token else reason
            if status is None and any(kind.__name__ == TRANSPORT for kind in type(error).__mro__):
                reason += ": look at the network, and at HF_ENDPOINT"
        raise UserError(f"{shown(where)} does not work ({shown(reason)}). {then}") from error


def _status(error: BaseException | None) -> int | None:
    """Find what a hub's server answered in an error or in what has caused it; None where it did not."""
    while error is not None:
        if (found := getattr(getattr(error, "response", None), "status_code", None)) is not None:
            return found
        error = error.__cause__
    return None

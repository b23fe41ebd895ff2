"""What libtiff would write on the standard error by itself: Pillow raises an error of its own for what cannot be decoded."""

import ctypes

from PIL import Image


def silence() -> None:
    """Have the libtiff that Pillow decodes with write nothing, in the whole process; where none is reached, nothing changes."""
    try:  # a library's symbols are found through what depends on it
        library = ctypes.CDLL(Image.core.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
    except (OSError, AttributeError):  # Pillow without libtiff, or with one that is a part of it
        pass

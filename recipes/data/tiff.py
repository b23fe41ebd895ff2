"""What reading a TIFF would write on the standard error by itself: Pillow raises an error for what cannot be decoded."""

import ctypes
import functools
import logging

from PIL import Image


@functools.cache
def silence() -> None:
    """Have Pillow's reader of TIFF, and the libtiff behind it, write nothing, in the whole process.

    Where no libtiff is reached, nothing changes.
    """
    logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)
    try:  # a library's symbols are found through what depends on it
        library = ctypes.CDLL(Image.core.__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
    except (OSError, AttributeError):  # Pillow without libtiff, or with one that is a part of it
        pass

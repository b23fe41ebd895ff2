"""The forms by name: a new one is a file beside this one, and a row here."""

from recipes.formats.form import Form
from recipes.formats.html_form import HTML
from recipes.formats.litert_form import LITERT
from recipes.formats.onnx_form import ONNX
from recipes.formats.openvino_form import OPENVINO
from recipes.formats.saved_model_form import SAVED_MODEL

FORMS: dict[str, Form] = {form.name: form for form in (ONNX, LITERT, SAVED_MODEL, OPENVINO, HTML)}

"""The interface in OpenAPI 3.1, as far as it is true: every status that an address can answer, and no other."""

from collections.abc import Sequence

from recipes.settings.serve import Serving
from recipes.web.uploads import MAX_PICTURES, MAX_TOP
from zoo import __version__

ERROR = {"$ref": "#/components/schemas/Error"}
STATUSES = {
    400: "The request cannot be understood.",
    401: "The token is missing or wrong.",
    403: "The page of another site asked.",
    404: "There is no such run.",
    405: "This address does not answer that method.",
    408: "The request was not whole in time.",
    409: "Another program has changed the table of corrections.",
    413: "The request, or a picture in it, is larger than the limit.",
    415: "The body is neither a picture nor a form with files.",
    421: "The server was asked by the name of another.",
    422: "None of the pictures can be read.",
    503: "More pictures wait than may: come again after the seconds of Retry-After.",
    507: "The server cannot write.",
}


def document(settings: Serving, runs: Sequence[str], has_token: bool) -> dict:
    """Describe the interface of a server."""
    guarded = [401, 403] if has_token else [403, 421]
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "zoo serve",
            "version": __version__,
            "description": "What pictures show, by the models of finished runs.",
        },
        "paths": {
            "/predict": {"post": _predict(settings, runs, guarded)},
            "/models": {"get": _simple("models", "The runs that are served.", "Models", guarded)},
            "/health": {"get": _simple("health", "Whether the server lives.", "Health", [s for s in guarded if s != 401])},
            "/metrics": {"get": _text("metrics", "Measures in the text format of Prometheus.", "text/plain", guarded)},
            "/openapi.json": {"get": _simple("openapi", "This document.", "Document", guarded)},
            "/": {"get": _text("page", "The page.", "text/html", [s for s in guarded if s not in (401, 403)])},
        },
        "components": {"schemas": SCHEMAS},
    }
    if settings.collect:
        found["paths"]["/corrections"] = {"post": _correct(runs, guarded)}
    if has_token:
        found["components"] |= {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        found["security"] = [{"token": []}]
        for path in ("/", "/health"):
            found["paths"][path]["get"]["security"] = []
    return found


def _predict(settings: Serving, runs: Sequence[str], guarded: Sequence[int]) -> dict:
    """Describe the address that predicts."""
    statuses = sorted({400, 404, 408, 413, 415, 422, 503, *guarded})
    return {
        "operationId": "predict",
        "summary": "What pictures show.",
        "description": f"One picture as the body, or up to {MAX_PICTURES} in a form, each part with a file name being one. A "
        f"request has at most {settings.max_bytes:,} bytes, a picture at most {settings.max_pixels:,} pixels. Of several "
        "pictures those that cannot be read have an error, and the others their answers.",
        "parameters": [
            _parameter("run", {"type": "string", "enum": list(runs)}, "Which run answers; the first if not given."),
            _parameter("top", {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": 3}, "How many classes to rank."),
            _parameter(
                "coverage",
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                "Give the set of classes that holds the right one this often; for runs whose `sets` is true.",
            ),
            _parameter(
                "explain",
                {"type": "boolean", "default": False},
                "Give a heat map and the nearest training pictures, which takes longer; for runs whose `explains` is true.",
            ),
        ],
        "requestBody": _one_or_more(MAX_PICTURES),
        "responses": {"200": _json("The answers, in the order of the pictures.", "Predictions"), **_errors(statuses)},
    }


def _correct(runs: Sequence[str], guarded: Sequence[int]) -> dict:
    """Describe the address to which corrections go."""
    statuses = sorted({400, 404, 408, 409, 413, 415, 422, 503, 507, *guarded})
    label = {"type": "array", "items": TEXT}
    return {
        "operationId": "correct",
        "summary": "Keep a picture with the label that it should have had.",
        "description": "Only of a server that was started with --collect. The last word on a picture counts.",
        "parameters": [
            _parameter("run", {"type": "string", "enum": list(runs)}, "Whose classes the labels are; the first if not given."),
            _parameter("label", label, "A class; given once, or, of a run with any number of labels, as often as there are."),
        ],
        "requestBody": _one_or_more(1),
        "responses": {"200": _json("The name under which the picture is kept.", "Correction"), **_errors(statuses)},
    }


def _one_or_more(most: int) -> dict:
    """Describe a body that is one picture, or a form with so many at most."""
    picture = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "properties": {"image": {"type": "array", "items": picture, "minItems": 1, "maxItems": most}},
        "required": ["image"],
    }
    kinds = {"image/*": picture, "application/octet-stream": picture, "multipart/form-data": form}
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in kinds.items()}}


def _simple(name: str, summary: str, schema: str, statuses: Sequence[int]) -> dict:
    """Describe an address that answers with JSON."""
    return {"operationId": name, "summary": summary, "responses": {"200": _json(summary, schema), **_errors(statuses)}}


def _text(name: str, summary: str, kind: str, statuses: Sequence[int]) -> dict:
    """Describe an address that answers with text."""
    answer = {"description": summary, "content": {kind: {"schema": {"type": "string"}}}}
    return {"operationId": name, "summary": summary, "responses": {"200": answer, **_errors(statuses)}}


def _parameter(name: str, schema: dict, description: str) -> dict:
    """Describe a parameter of the address."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _json(description: str, schema: str) -> dict:
    """Describe an answer in JSON."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _errors(statuses: Sequence[int]) -> dict:
    """Describe refusals."""
    found = {}
    for status in statuses:
        found[str(status)] = _json(STATUSES[status], "Error")
        if status == 503:
            header = {"schema": {"type": "string"}, "required": True, "description": "Seconds until it is worth another try."}
            found["503"]["headers"] = {"Retry-After": header}
    return found


def _object(properties: dict, optional: Sequence[str] = ()) -> dict:
    """Write the schema of an object that has these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _array(items: dict) -> dict:
    """Write the schema of a list."""
    return {"type": "array", "items": items}


def _or_null(schema: dict) -> dict:
    """Write the schema of what may be missing."""
    return {"anyOf": [schema, {"type": "null"}]}


TEXT, FLAG, SHARE = {"type": "string"}, {"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": 1.000001}
RANKED = _object({"class": TEXT, "probability": SHARE})
NEAREST = _object({"file": TEXT, "label": TEXT, "picture": _or_null(TEXT)})
EXPLANATION = _object({"class": TEXT, "map": TEXT, "words": TEXT, "check": _or_null(TEXT), "nearest": _array(NEAREST)})
PREDICTION = _object(
    {
        "file": _or_null(TEXT),
        "prediction": _or_null(TEXT),
        "probability": _or_null(SHARE),
        "ranked": _or_null(_array(RANKED)),
        "set": _or_null(_array(TEXT)),
        "unknown": _or_null(FLAG),
        "notes": _or_null(_array(TEXT)),
        "explanation": _or_null(EXPLANATION),
        "error": _or_null(TEXT),
    }
)
MODEL = _object(
    {
        "name": TEXT,
        "classes": _array(TEXT),
        "one_label": FLAG,
        "sets": FLAG,
        "unknown": FLAG,
        "explains": FLAG,
        "nearest": FLAG,
        "input_pixels": {"type": "integer", "minimum": 1},
        "notes": _array(TEXT),
    }
)
SCHEMAS = {
    "Error": _object({"error": TEXT}),
    "Health": _object({"status": TEXT, "version": TEXT}),
    "Models": _object({"models": _array(MODEL), "collects": FLAG}),
    "Correction": _object({"name": TEXT, "labels": _array(TEXT)}),
    "Predictions": _object({"run": TEXT, "predictions": _array(PREDICTION)}),
    "Document": {"type": "object"},
}

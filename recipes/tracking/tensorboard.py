"""A trial for TensorBoard, without TensorFlow: its epochs as curves, its hyper-parameters and scores for the HParams page."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def write(folder: Path, values: Mapping, history: Sequence[Mapping], scores: Mapping[str, float]) -> None:
    """Write a trial as one file of events, in a folder of its own."""
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))

    def add(summary: summary_pb2.Summary, step: int = 0) -> None:
        writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def scalars(row: Mapping, step: int) -> None:
        numbers = {name: value for name, value in row.items() if name != "epoch" and isinstance(value, int | float)}
        add(summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=n, simple_value=v) for n, v in numbers.items()]), step)

    def session(**content: object) -> None:
        """Add a mark of the HParams plugin, whose own functions for it import TensorFlow."""
        name = metadata.SESSION_START_INFO_TAG if "session_start_info" in content else metadata.SESSION_END_INFO_TAG
        about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
        add(summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=name, metadata=about, tensor=metadata.NULL_TENSOR)]))

    start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for name, value in values.items():
        kind = {bool: "bool", int: "number", float: "number"}.get(type(value), "string")
        setattr(start.hparams[name], f"{kind}_value", value if kind != "string" else str(value))
    session(session_start_info=start)
    for step, row in enumerate(history, 1):
        scalars(row, row.get("epoch", step))
    scalars(scores, len(history))
    session(session_end_info=plugin_data_pb2.SessionEndInfo(end_time_secs=time.time()))
    writer.close()

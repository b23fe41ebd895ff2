"""A run for TensorBoard, without TensorFlow: its epochs as curves, its settings and scores for the HParams page."""

import time
from collections.abc import Mapping
from pathlib import Path


class Tracker:
    """Writes a run as one file of events, in a folder of its own."""

    def __init__(self, folder: Path, settings: Mapping):
        from tensorboard.plugins.hparams import plugin_data_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer, self._last = EventFileWriter(str(folder)), 0
        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
        for name, value in settings.items():
            kind = {bool: "bool", int: "number", float: "number"}.get(type(value), "string")
            setattr(start.hparams[name], f"{kind}_value", value if kind != "string" else str(value))
        self._mark(session_start_info=start)

    def epoch(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Add the numbers of an epoch as points of curves, one for each name, and let them be seen at once."""
        from tensorboard.compat.proto import summary_pb2

        values = [summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._add(summary_pb2.Summary(value=values), epoch)
        self._writer.flush()
        self._last = max(self._last, epoch)

    def scores(self, numbers: Mapping[str, float]) -> None:
        """Add what was reached in the end, behind the last epoch."""
        self.epoch(numbers, self._last)

    def close(self, is_complete: bool) -> None:
        """End the file: with the mark of a run that has ended, if it is complete."""
        from tensorboard.plugins.hparams import plugin_data_pb2

        if is_complete:
            self._mark(session_end_info=plugin_data_pb2.SessionEndInfo(end_time_secs=time.time()))
        self._writer.close()

    def _add(self, summary: object, step: int = 0) -> None:
        """Write an event; `summary` is a message of TensorBoard's."""
        from tensorboard.compat.proto import event_pb2

        self._writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def _mark(self, **content: object) -> None:
        """Add a mark of the HParams plugin, whose own functions for it import TensorFlow."""
        from tensorboard.compat.proto import summary_pb2
        from tensorboard.plugins.hparams import metadata, plugin_data_pb2

        name = metadata.SESSION_START_INFO_TAG if "session_start_info" in content else metadata.SESSION_END_INFO_TAG
        about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
        self._add(summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=name, metadata=about, tensor=metadata.NULL_TENSOR)]))

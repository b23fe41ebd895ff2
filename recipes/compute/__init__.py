"""The machine that commands compute on: its start, devices, processes and versions."""

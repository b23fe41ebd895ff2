"""The machine: what every command does before it computes, devices, processes."""

"""The process of a worker or a command: its streams, its log, its signals, and how it ends."""

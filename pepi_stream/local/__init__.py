"""Private Redis and MariaDB servers for one clone, and what `make run` and `make demo` do."""

"""pepi_stream: e-mail tracking events from a Redis list to MySQL, each counted once.

``faust -A pepi_stream worker`` finds :data:`app` here. It is built when somebody asks for
it (PEP 562), so that importing a submodule builds nothing.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pepi_stream.commands import load_app

    globals()["app"] = app = load_app()
    return app

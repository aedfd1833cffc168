"""What can go wrong with the private servers.

LocalError
├── ServerMissingError     a server program is absent, too old, or could not be installed
├── DirectoryInUseError    another process runs a server in the same directory
└── ServerStartError       a server could not be started, or is not running

The message of each says what happened, to what, and what to do.
"""


class LocalError(Exception):
    """Base of every error of `pepi_stream.local`."""


class ServerMissingError(LocalError):
    """A server program is absent, too old, or could not be installed."""


class DirectoryInUseError(LocalError):
    """Another process runs a server in the same directory."""


class ServerStartError(LocalError):
    """A server could not be started, or is not running."""

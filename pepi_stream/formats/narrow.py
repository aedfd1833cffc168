"""Makes, of a JSON record that holds several events, one record for each of them.

Every other value is byte for byte what it was (but for halves of characters); of the list, each
record keeps one element.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pepi_stream.formats.lenient import whole_characters

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

#: In a path: the value is a string that holds JSON, and the path goes on inside it.
JSON = ""


def narrow(raw: bytes | msgspec.Raw, path: Sequence[str]) -> list[bytes]:
    """Return one record for each element of the list at ``path``.

    Args:
        raw: the record.
        path: keys from the record to the list; :data:`JSON` enters a string.

    Raises:
        msgspec.MsgspecError: there is no such list.
        KeyError: likewise.
        UnicodeDecodeError: a key on the way is not UTF-8.
    """
    if not path:
        return [_encode([element]) for element in _list(raw)]
    if path[0] == JSON:
        inner = narrow(whole_characters(_text(raw).encode()), path[1:])
        return [_encode(text.decode()) for text in inner]
    found = _object(raw)
    return [
        _encode({**found, path[0]: msgspec.Raw(value)})
        for value in narrow(found[path[0]], path[1:])
    ]

"""Turns payloads into hostile ones: pure, and the same for the same seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

#: JSON values that some reader somewhere does not expect.
VALUES: tuple[bytes, ...] = (
    *(b"null", b"true", b"false", b"0", b"-0", b"-1", b"1.5", b"1e400", b"-1e400", b"1e-400"),
    *(b"9007199254740993", b"18446744073709551616", b"-9223372036854775809", b"253402300800"),
    *(b"1" * 400, b"9" * 5000, b"1" + b"0" * 30, b"0." + b"1" * 400, b"NaN", b"Infinity", b"01"),
    *(b'""', b'" "', b'"0"', b'"-1"', b'"1e5"', b'"nan"', b'"inf"', b'"1_0"', b'" 7 "'),
    *(b'"' + b"9" * 5000 + b'"', '"\u0661\u0662"'.encode(), b'"\\u0000"', b'"\0"', b'"\x1a"'),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\xed\xa0\x80"', b'"\xff"'),
    *(b'"\xc3"', b'"\xf4\x90\x80\x80"', '"\U0010ffff\ufeff\u2028"'.encode(), b'"\\""', b'"\\\\"'),
    *(b'"\');DROP TABLE pepi_event;-- \\\\"', b'"\'"', b'"\\\\\'"', b'"\\x"', b'"\\u12"', b'"'),
    *(b"[]", b"{}", b"[[]]", b"[{}]", b'{"":{}}', b"[null]", b"[1,]", b"{,}", b"[[[[[[]]]]]]"),
    *(b'"2017-08-09T22:00:19.652Z"', b'"9999-12-31T23:59:59.9999999-14:00"', b'"0000-00-00"'),
    *(b'"0001-01-01T00:00:00+23:59"', b'"1969-12-31T23:59:59Z"', b'"2016-02-30T00:00:00Z"'),
    *('"J\u00f6rg"'.encode(), '"\u8ba2\u9605"'.encode(), b'"\\u00e9t\\u00e9"'),
    *(b'"a@b"', b'"@"', b'"a@' + b"x" * 300 + b'"', b'"' + b"x" * 70_000 + b'"'),
)
#: Bytes that are no value.
NOISE: tuple[bytes, ...] = (
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x1a", b"\x7f", b"\x80", b"\xed\xa0\x80", b"\r\n"),
    *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"'", b"/*", b"//", b"\\u", b" " * 50),
)
_STRING = rb'"(?:[^"\\]|\\.)*+"'
_TOKEN = re.compile(_STRING + rb"|-?\d[\d.eE+-]*+|true|false|null", re.S)
_PAIR = re.compile(rb"%s\s*:\s*(?:%s|[\w.+-]++)" % (_STRING, _STRING), re.S)
_LONGEST = 200_000  # bytes; what grows beyond is cut
_READABLE = 20_000  # bytes; what is longer is not looked into, which would be slow


class Mutator:
    """Makes hostile payloads.

    Args:
        seed: of all that is random.
        samples: what to start from; :meth:`keep` adds to a copy of them.
    """

    def __init__(self, seed: int, samples: Sequence[bytes]) -> None:
        self.random = random.Random(seed)
        self._samples = list(samples)
        self._kept = len(self._samples)
        self._blind: list[Callable[[bytes], bytes]] = [
            *(self._flip, self._insert, self._delete, self._truncate, self._splice),
        ]
        self._mutations: list[Callable[[bytes], bytes]] = [
            *self._blind,
            *(self._repeat, self._double_key, self._wrap, self._array, self._nest, self._rename),
            *[self._replace_value] * 4,
            *[self._change_tree] * 4,
        ]

    def keep(self, payload: bytes) -> None:
        """Remember a payload that led somewhere new; later ones are made from it."""
        if len(payload) <= 4000:
            self._samples.append(payload)
            if len(self._samples) > self._kept + 500:
                del self._samples[self._kept + self.random.randrange(500)]

    def payload(self) -> bytes:
        """Make a payload: a sample, changed some times (or, seldom, not at all)."""
        payload = self.random.choice(self._samples)
        for _ in range(self.random.choice((0, 1, 1, 1, 2, 2, 3, 5))):
            mutations = self._mutations if len(payload) <= _READABLE else self._blind
            payload = self.random.choice(mutations)(payload)[:_LONGEST]
        return payload

    def _span(self, payload: bytes) -> tuple[int, int]:
        first = self.random.randint(0, len(payload))
        longest = self.random.choice((1, 4, 32, len(payload)))
        return first, min(len(payload), first + self.random.randint(0, max(1, longest)))

    def _flip(self, payload: bytes) -> bytes:
        changed = bytearray(payload)
        for _ in range(self.random.choice((1, 1, 2, 8))):
            if changed:
                changed[self.random.randrange(len(changed))] = self.random.randrange(256)
        return bytes(changed)

    def _insert(self, payload: bytes) -> bytes:
        at = self.random.choice((0, len(payload), self.random.randint(0, len(payload))))
        return payload[:at] + self.random.choice((*NOISE, *VALUES)) + payload[at:]

    def _delete(self, payload: bytes) -> bytes:
        first, stop = self._span(payload)
        return payload[:first] + payload[stop:]

    def _repeat(self, payload: bytes) -> bytes:
        first, stop = self._span(payload)
        times = self.random.choice((2, 3, 50))
        return payload[:first] + payload[first:stop] * times + payload[stop:]

    def _truncate(self, payload: bytes) -> bytes:
        return payload[: self.random.randint(0, len(payload))]

    def _splice(self, payload: bytes) -> bytes:
        other = self.random.choice(self._samples)
        return payload[: self._span(payload)[0]] + other[self._span(other)[0] :]

    def _replace_value(self, payload: bytes) -> bytes:
        tokens = list(_TOKEN.finditer(payload))
        if not tokens:
            return payload + self.random.choice(VALUES)
        token = self.random.choice(tokens)
        new = self.random.choice(VALUES)
        if self.random.random() < 0.1:
            new = self.random.choice(tokens)[0]
        return payload[: token.start()] + new + payload[token.end() :]

    def _rename(self, payload: bytes) -> bytes:
        keys = [match for match in _TOKEN.finditer(payload) if match[0].startswith(b'"')]
        others: list[bytes] = _TOKEN.findall(self.random.choice(self._samples))
        if not keys or not others:
            return payload
        key = self.random.choice(keys)
        return payload[: key.start()] + self.random.choice(others) + payload[key.end() :]

    def _double_key(self, payload: bytes) -> bytes:
        pairs = list(_PAIR.finditer(payload))
        if not pairs:
            return payload
        pair, at = self.random.choice(pairs), self.random.choice(pairs)
        return payload[: at.start()] + pair[0] + b"," + payload[at.start() :]

    def _wrap(self, payload: bytes) -> bytes:
        left, right = self.random.choice(
            (
                (b"[", b"]"),
                (b"[[", b"]]"),
                (b'{"msys":', b"}"),
                (b'{"event-data":', b"}"),
                (b'"', b'"'),
            )
        )
        if self.random.random() < 0.2:  # JSON in a string of JSON, as SNS has it
            text = json.dumps(payload.decode("utf-8", "surrogateescape")).encode()
            return b'{"Type":"Notification","MessageId":"1","Message":' + text + b"}"
        return left + payload + right

    def _array(self, payload: bytes) -> bytes:
        others = [self.random.choice((payload, *self._samples)) for _ in range(3)]
        elements = self.random.sample([payload, *others, *self.random.sample(VALUES, 3)], 4)
        return b"[" + self.random.choice((b",", b" , ", b",\n")).join(elements) + b"]"

    def _nest(self, payload: bytes) -> bytes:
        depth = self.random.choice((2, 30, 300, 990, 1100, 3000, 60_000))
        left, right = self.random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"":', b"}]")))
        bomb = left * depth + self.random.choice((b"", b"1", payload)) + right * depth
        if not payload.endswith(b"}") or self.random.random() < 0.3:
            return bomb
        return payload[:-1] + b',"x":' + bomb + b"}"

    def _change_tree(self, payload: bytes) -> bytes:
        try:
            tree = json.loads(payload)
        except (ValueError, RecursionError):
            return self._replace_value(payload)
        nodes: list[tuple[Any, Any]] = []
        _walk(tree, nodes)
        if not nodes:
            return payload
        holder, key = self.random.choice(nodes)
        match self.random.randrange(5):
            case 0:
                del holder[key]
            case 1:
                other_holder, other_key = self.random.choice(nodes)
                holder[key] = other_holder[other_key]
            case 2:
                holder[key] = [holder[key]] * self.random.choice((1, 2, 30))
            case 3:
                holder[key] = {"": holder[key]}
            case _:
                holder[key] = str(holder[key])
        try:
            return json.dumps(tree, ensure_ascii=self.random.random() < 0.5).encode(
                "utf-8", "surrogatepass"
            )
        except (ValueError, RecursionError):  # it holds itself now
            return payload


def _walk(node: Any, nodes: list[tuple[Any, Any]], depth: int = 0) -> None:
    if depth > 50 or len(nodes) > 300:
        return
    children: Any = ()
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    for key, child in children:
        nodes.append((node, key))
        _walk(child, nodes, depth + 1)

"""One flush is one transaction: ledger, rows, dead letters, window counts, COMMIT.

The ledger's primary key is what makes a claim count once. Poison rows (that only MySQL can
see) are found by :mod:`pepi_stream.sink.poison`. That needs no savepoints: InnoDB undoes a
failed statement as a whole and keeps the transaction (MySQL manual, "InnoDB Error Handling").
Only a Galera node without a binary log needs them. It undoes a failed statement for itself, and
sends the rows that came before the refused one to the other nodes all the same (measured with
MariaDB 11.8.9, docs/decisions/0028); what ROLLBACK TO SAVEPOINT undoes it sends to nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import aiomysql

from pepi_stream.claims.claim import Claim
from pepi_stream.claims.protocol import KNOWN_PROTOCOLS
from pepi_stream.errors import FatalError, PepiError, PoisonError, TransientError
from pepi_stream.events import Batch, WindowKey
from pepi_stream.outcome import Outcome
from pepi_stream.pipeline import Pipeline
from pepi_stream.sink import statements
from pepi_stream.sink.bulk import BulkConnection, NoBulkError, bulk_head
from pepi_stream.sink.connection import execute, execute_bulk, fetch
from pepi_stream.sink.failures import DUPLICATE_KEY, mysql_failure
from pepi_stream.sink.groups import Group, groups_of
from pepi_stream.sink.poison import PoisonSearch
from pepi_stream.sink.refusals import Refusals
from pepi_stream.sink.repeats import Repeat, enter, find_repeats, forget, key_hashes
from pepi_stream.sink.rows import Rendered
from pepi_stream.sink.schema import Schema

#: What the ledger knows: claim key -> (number of payloads, digest).
_Known = dict[bytes, tuple[int, bytes]]


class Transaction:
    """Writes flushes over one connection.

    Args:
        conn: from :func:`pepi_stream.sink.connect`.
        schema: the tables.
        pipeline: recounts the windows of a batch that lost rows.
        render: renders a batch that lost repeats.
        packet: the server's max_allowed_packet in bytes.
        max_bytes: bytes of one INSERT, at most (unless one row is longer).
    """

    def __init__(
        self,
        conn: BulkConnection,
        *,
        schema: Schema,
        pipeline: Pipeline,
        render: Callable[[Batch], Rendered],
        packet: int,
        max_bytes: int,
    ) -> None:
        self.conn = conn
        self._schema = schema
        self._names = schema.names
        self._pipeline = pipeline
        self._render = render
        self._packet = packet
        self._max_bytes = min(max_bytes, packet - statements.PACKET_RESERVE)
        self._refusals = Refusals(conn, schema)
        self._table = self._names.ledger  # that is being written to

    async def write(self, flush: Sequence[Rendered]) -> Outcome:
        """Commit a flush.

        Raises:
            TransientError: nothing is known to be committed; write the same flush again.
                The connection may be unusable.
            FatalError: retrying cannot help; nothing was committed.
        """
        try:
            await execute(self.conn, b"BEGIN")
            outcome = await self._write(flush)
            await execute(self.conn, b"COMMIT")
        except Exception as exc:
            await self._rollback()
            if isinstance(exc, PepiError) and type(exc) is not TransientError:
                raise
            # No local may hold what is raised: with its traceback, which holds this frame and so
            # the flush, it would be a cycle, and garbage of megabytes until the collector runs.
            raise await self._refusals.of_transaction(
                exc, f"writing {len(flush)} claims", self._table
            ) from exc
        except BaseException:
            self.conn.close()  # cancelled in mid-statement: the protocol is out of step
            raise
        return outcome

    async def _rollback(self) -> None:
        try:
            await execute(self.conn, b"ROLLBACK")
        except Exception:
            self.conn.close()

    async def _write(self, flush: Sequence[Rendered]) -> Outcome:
        self._refusals.begin()
        self._table = self._names.ledger
        fresh, repeated, conflicts = await self._enter_ledger(flush)
        whole = fresh
        repeats: list[Repeat] = []
        if self._schema.dedupe and fresh:
            fresh, repeats = await self._without_repeats(fresh)
        self._table = self._names.event
        refused: dict[int, str] = {}
        rows = 0
        for group in groups_of(fresh, self._max_bytes):
            for at, reason in (await self._insert(group)).items():
                refused[rows + at] = reason
            rows += sum(rendered.size for rendered in group.rendered)
        batches = self._without(fresh, refused) if refused else [r.batch for r in fresh]
        if refused and self._schema.dedupe:
            repeats = await self._forget(whole, fresh, refused, repeats, batches)

        dead = await self._insert_dead(batches)

        counts: dict[str, Counter[WindowKey]] = {}
        for window in self._schema.windows:
            self._table = self._names.window(window.name)
            total: Counter[WindowKey] = Counter()
            for batch in batches:
                total.update(batch.counts[window.name])
            counts[window.name] = total
            for statement in statements.upsert_window(
                self._names.window(window.name), window, total, self._packet
            ):
                await execute(self.conn, statement)
        return Outcome(
            [r.batch.claim for r in fresh],
            repeated,
            conflicts,
            rows - len(refused),
            dead,
            counts,
            [one for batch in batches for one in batch.occurred()],
            len(repeats),
            [letter.reason for batch in batches for letter in batch.dead],
        )

    async def _insert_dead(self, batches: Sequence[Batch]) -> int:
        """Insert the dead letters of the batches; return how many there are."""
        letters = [(b.claim, d.format or b.format, d) for b in batches for d in b.dead]
        self._table = self._names.dead_letters
        landed = 0
        for statement in statements.insert_dead(self._names.dead_letters, letters, self._max_bytes):
            landed += await execute(self.conn, statement)
        if landed < len(letters):  # each makes one row at least
            raise FatalError(
                f"of {len(letters)} dead letters only {landed} rows landed in {self._table}; "
                "nothing was committed"
            )
        return len(letters)

    async def _without_repeats(
        self, fresh: Sequence[Rendered]
    ) -> tuple[list[Rendered], list[Repeat]]:
        """Return the batches without the events that have taken effect before, and those."""
        self._table = self._names.seen
        uids = [key_hashes(rendered.batch, self._schema.dedupe) for rendered in fresh]
        distinct = {uid for hashes in uids for uid in hashes if uid is not None}
        claim = fresh[0].batch.claim.key
        known = await enter(self.conn, self._names.seen, distinct, claim, max_bytes=self._max_bytes)
        repeats = find_repeats(uids, known)
        left_out: dict[int, set[int]] = {}
        for repeat in repeats:
            left_out.setdefault(repeat.batch, set()).add(repeat.event)
        return [
            self._render_without(rendered, left_out[number]) if number in left_out else rendered
            for number, rendered in enumerate(fresh)
        ], repeats

    def _render_without(self, rendered: Rendered, gone: set[int]) -> Rendered:
        kept = rendered.batch.keep([i for i in range(len(rendered.batch)) if i not in gone])
        return self._render(self._pipeline.count(kept))

    async def _forget(
        self,
        whole: Sequence[Rendered],
        fresh: Sequence[Rendered],
        refused: dict[int, str],
        repeats: Sequence[Repeat],
        batches: Sequence[Batch],
    ) -> list[Repeat]:
        """Forget refused events, which took no effect; return the repeats of others.

        A repeat of a refused event becomes a dead letter like it: it, too, has taken no effect.
        """
        written = [
            uid for rendered in fresh for uid in key_hashes(rendered.batch, self._schema.dedupe)
        ]
        forgotten = {uid: refused[at] for at in refused if (uid := written[at]) is not None}
        await forget(self.conn, self._names.seen, forgotten, max_bytes=self._max_bytes)
        rest: list[Repeat] = []
        for repeat in repeats:
            if repeat.uid not in forgotten:
                rest.append(repeat)
                continue
            reason = f"repeat of an event that was refused: {forgotten[repeat.uid]}"
            # It was made anew without its repeats, for this try alone.
            batches[repeat.batch].dead.append(
                self._pipeline.dead_letter(whole[repeat.batch].batch, repeat.event, reason)
            )
        return rest

    async def _enter_ledger(
        self, flush: Sequence[Rendered]
    ) -> tuple[list[Rendered], list[Claim], list[Claim]]:
        """Insert the claim ids; return (fresh, repeated, conflicting) ones."""
        firsts: dict[str, Rendered] = {}
        repeated: list[Claim] = []
        conflicts: list[Claim] = []
        for rendered in flush:
            firsts.setdefault(rendered.batch.claim.id, rendered)
        fresh = list(firsts.values())
        while fresh:
            claims = [r.batch.claim for r in fresh]
            await self._savepoint()
            try:
                await execute(self.conn, statements.insert_ledger(self._names.ledger, claims))
                break
            except aiomysql.IntegrityError as exc:
                if exc.args[0] != DUPLICATE_KEY:
                    raise
            await self._undo()
            known = await self._known(claims)
            if not known:
                raise TransientError("the ledger refused claim ids that it does not hold")
            _sort(claims, known, repeated, conflicts)
            fresh = [r for r in fresh if r.batch.claim.key not in known]
        # An id twice in one flush: the ledger now answers for the second copy, too.
        if seconds := [r.batch.claim for r in flush if firsts[r.batch.claim.id] is not r]:
            _sort(seconds, await self._known(seconds), repeated, conflicts)
        return fresh, repeated, conflicts

    async def _known(self, claims: Sequence[Claim]) -> _Known:
        """Return what the ledger has of these claims.

        Raises:
            FatalError: an entry is of a protocol version whose digest we cannot compute. Whether
                it is of these payloads is unknown: to drop them could lose, to write them could
                count twice.
        """
        rows = await fetch(self.conn, statements.select_ledger(self._names.ledger, claims))
        if unknown := {version for *_, version in rows} - KNOWN_PROTOCOLS:
            raise FatalError(
                "the ledger has entries of a newer pepi_stream "
                f"(version {max(unknown)}); upgrade this worker"
            )
        return {key: (payloads, digest) for key, payloads, digest, _ in rows}

    async def _insert(self, group: Group) -> dict[int, str]:
        """Insert the rows of a group; return those that the server refuses.

        Returns:
            Index of the row in the group -> the server's message.
        """
        head = statements.insert_head(self._names.event, group.names)
        reason = None
        await self._savepoint()
        if (whole := self._whole(head, group)) is not None:
            try:
                reason = await self._refusal(whole, group.alone(0, group.size))
                if reason is None:
                    return {}
            except NoBulkError:
                pass
        rows = [row for rendered in group.rendered for row in rendered.rows()]
        search = PoisonSearch(len(rows))
        if reason is not None:
            search.refuse(len(rows), reason)
        cut = statements.RowCut(rows, self._max_bytes - len(head))
        while probe := search.probe():
            first, stop = probe
            stop = cut.stop(first, stop)
            reason = await self._refusal_of(head, rows[first:stop], group.alone(first, stop))
            if reason is None:
                search.accept(stop)
            else:
                search.refuse(stop, reason)
        return search.refused

    def _whole(self, head: str, group: Group) -> Awaitable[int] | None:
        """Return what inserts all rows of a group as they were rendered, if one statement can."""
        bodies = [rendered.body for rendered in group.rendered if rendered.body is not None]
        if len(bodies) < len(group.rendered):
            return None
        if group.types is None:
            statement = statements.insert_values(head, bodies)
            return execute(self.conn, statement) if len(statement) <= self._max_bytes else None
        size = len(bulk_head(0, group.types)) + sum(map(len, bodies))
        if not self.conn.bulk or size > self._max_bytes:
            return None
        sql = statements.insert_placeholders(head, len(group.names))
        return self._bulk(sql, group.types, bodies, sum(r.size for r in group.rendered))

    async def _bulk(self, sql: str, types: bytes, bodies: Sequence[bytes], rows: int) -> int:
        affected = await execute_bulk(self.conn, sql, types, bodies)
        if affected < rows:  # more is well: MariaDB counts what triggers update, too
            self.conn.bulk = False
            raise TransientError(
                f"of a bulk of {rows} rows only {affected} landed; they go as text now "
                "(sink.bulk = false does so from the start)"
            )
        return affected

    async def _refusal_of(
        self, head: str, rows: Sequence[str], alone: Callable[[], int] | None
    ) -> str | None:
        try:
            statement = statements.insert_rows(head, rows)
        except UnicodeEncodeError as exc:
            return str(_poison(exc))
        if len(statement) >= self._packet:  # one row: the cut leaves at least one
            return (
                f"a row of {len(statement)} bytes is above the server's "
                f"max_allowed_packet of {self._packet} bytes"
            )
        await self._savepoint()
        return await self._refusal(execute(self.conn, statement), alone)

    async def _refusal(
        self, insert: Awaitable[int], alone: Callable[[], int] | None = None
    ) -> str | None:
        """Insert rows; return why the server refused them, or None when they landed.

        Args:
            insert: sends the statement.
            alone: of one row: says by how many ms its event is younger than its arrival.

        Raises:
            FatalError: a row that was sent alone was refused, but not for its values.
        """
        try:
            await insert
        except Exception as exc:
            if (reason := _poison(exc)) is None:
                raise
            await self._undo()
            if alone is not None:
                await self._refusals.of_row(exc, alone)
            return reason
        return None

    async def _savepoint(self) -> None:
        """Make sure that the next statement can be undone on all nodes of a cluster."""
        if self.conn.clustered:
            await execute(self.conn, b"SAVEPOINT pepi_statement")

    async def _undo(self) -> None:
        """Undo a refused statement on all nodes; the server has undone it for itself."""
        if self.conn.clustered:
            await execute(self.conn, b"ROLLBACK TO SAVEPOINT pepi_statement")

    def _without(self, fresh: Sequence[Rendered], refused: dict[int, str]) -> list[Batch]:
        """Return the batches without the refused rows, which become dead letters."""
        batches: list[Batch] = []
        first = 0
        for rendered in fresh:
            batch, size = rendered.batch, rendered.size
            here = [i for i in range(size) if first + i in refused]
            if here:
                gone = set(here)
                kept = batch.keep([i for i in range(size) if i not in gone])
                kept.dead += [
                    self._pipeline.dead_letter(batch, i, refused[first + i]) for i in here
                ]
                batch = self._pipeline.count(kept)
            batches.append(batch)
            first += size
        return batches


def _poison(exc: Exception) -> str | None:
    """Return why rows were refused, or None when the error is about anything else."""
    failure = mysql_failure(exc, "inserting rows")
    return failure.reason if isinstance(failure, PoisonError) else None


def _sort(
    claims: Sequence[Claim], known: _Known, repeated: list[Claim], conflicts: list[Claim]
) -> None:
    """Sort the claims that the ledger knows: with the same payloads, or with others."""
    for claim in claims:
        if claim.key in known:
            same = known[claim.key] == (len(claim.payloads), claim.digest)
            (repeated if same else conflicts).append(claim)

"""An enricher: from a batch to more columns of it."""

from collections.abc import Mapping

from pepi_stream.events import Batch, Column


class Tier:
    """Adds the column ``tier``: what kind of customer the event is about.

    A class is called without arguments when the worker starts: the place to read a file once. It
    is then called once a batch, with all events of a claim. Work by distinct value: a batch has a
    thousand events and a few dozen customers.
    """

    def __init__(self) -> None:
        self._gold = frozenset({"1001", "1002"})

    def __call__(self, batch: Batch) -> Mapping[str, Column]:
        """Return the column, one value an event, in the batch's order."""
        customers = batch.column("id")
        tiers = {customer: self._tier(customer) for customer in set(customers)}
        return {"tier": [tiers[customer] for customer in customers]}

    def _tier(self, customer: str | None) -> str:
        return "gold" if customer in self._gold else "standard"

"""The hard cap in dollars, for all models of a run together.

A call reserves the most it can cost before it starts, so that many in flight cannot overshoot together; what it did not cost is given
back. A call that does not fit waits for those in flight, and only when none is left is the budget spent.
"""

from __future__ import annotations

import asyncio

from auto_interventions.errors import BudgetSpent


class Budget:
    """Dollars. Used in the event loop of `asking` only."""

    def __init__(self, limit: float | None = None, spent: float = 0.0) -> None:
        """`limit`: None is none; `spent`: by earlier attempts at the same run."""
        self.limit = limit
        self.spent = spent
        self.unsure = 0.0
        """What attempts without an answer (timeouts, broken connections) can have cost at most: the provider may have worked for them.
        Counted against the limit, not as spent."""
        self._reserved = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    async def reserve(self, bound: float) -> None:
        """Returns once `bound` dollars are kept for a call.

        Raises:
            BudgetSpent: they do not fit, and nothing in flight can give any back.
        """
        while self.limit is not None and self.spent + self.unsure + self._reserved + bound > self.limit:
            if self._reserved <= 0:
                raise BudgetSpent(
                    f"`budget.dollars`: {self.spent + self.unsure:.4f} of {self.limit:g} dollars are spent and the next call could "
                    f"cost {bound:.4f}; raise the budget and start again: replies so far are in the store"
                )
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(changed)
            await changed
        self._reserved += bound

    def settle(self, bound: float, dollars: float, unsure: bool = False) -> None:
        """A call for which `bound` was reserved cost `dollars`; `unsure`: or anything up to `bound`."""
        left = self._reserved - bound
        self._reserved = left if left > 1e-12 else 0.0  # what remains of sums of floats is nothing
        self.spent += dollars
        self.unsure += max(0.0, bound - dollars) if unsure else 0.0
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():  # cancelled
                changed.set_result(None)

"""What calls cost: the config's own price, else the table of genai-prices (Pydantic's, in the package, no network)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from auto_interventions.config import ChatConfig, PriceConfig
from auto_interventions.errors import ChatError
from auto_interventions.llm.chat import Usage

_MILLION = 1e6
_STEP = 256  # tokens: bounds are rounded up to it, so that few have to be computed


class Prices(Protocol):
    """Dollars of one model."""

    def dollars(self, usage: Usage) -> float:
        """What `usage` costs."""
        ...

    def bound(self, input_tokens: int, output_tokens: int) -> float:
        """The most that a call with at most so many tokens can cost: nothing of it cached."""
        ...


@dataclass(frozen=True, slots=True)
class FixedPrices:
    """Prices that the config gives."""

    price: PriceConfig

    def dollars(self, usage: Usage) -> float:
        """See `Prices.dollars`."""
        cached = self.price.input if self.price.cached_input is None else self.price.cached_input
        fresh = usage.input_tokens - usage.cached_input_tokens
        return (fresh * self.price.input + usage.cached_input_tokens * cached + usage.output_tokens * self.price.output) / _MILLION

    def bound(self, input_tokens: int, output_tokens: int) -> float:
        """See `Prices.bound`."""
        dear = max(self.price.input, self.price.cached_input or 0.0)
        return (input_tokens * dear + output_tokens * self.price.output) / _MILLION


@dataclass(frozen=True, slots=True)
class TablePrices:
    """Prices of genai-prices, with its tiers for long prompts."""

    model: str
    provider: str | None
    address: str | None

    def dollars(self, usage: Usage) -> float:
        """See `Prices.dollars`."""
        return _priced(self.model, self.provider, self.address, usage)

    def bound(self, input_tokens: int, output_tokens: int) -> float:
        """See `Prices.bound`."""
        return _priced(self.model, self.provider, self.address, Usage(_up(input_tokens), _up(output_tokens)))


FREE = FixedPrices(PriceConfig(input=0, output=0))
_TABLE = {"gemini": "google", "google-generativeai": "google", "openai": "openai", "anthropic": "anthropic"}


def open_prices(spec: str, settings: ChatConfig) -> Prices:
    """The prices of the model `spec` (`provider:model`); local models cost nothing.

    Raises:
        ChatError: the table does not know the model, and the config gives no price.
    """
    provider, _, model = spec.partition(":")
    if settings.price is not None:
        return FixedPrices(settings.price)
    if provider == "local":
        return FREE
    prices = TablePrices(model, _TABLE.get(provider), None)
    if provider == "openai":
        from auto_interventions.llm.openai import ADDRESS, address_of

        address = address_of(settings)
        if not address.startswith(ADDRESS):
            prices = TablePrices(model, None, address)
    try:
        prices.dollars(Usage(1000, 1000))
    except LookupError:
        raise ChatError(
            f"{spec}: the price table does not know it; give `price: {{input: …, output: …}}` in dollars per million tokens (0 where the "
            "server is your own)"
        ) from None
    return prices


def _up(tokens: int) -> int:
    return -(-tokens // _STEP) * _STEP


@lru_cache(maxsize=65_536)
def _priced(model: str, provider: str | None, address: str | None, usage: Usage) -> float:
    import genai_prices

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=min(usage.cached_input_tokens, usage.input_tokens) or None,
    )
    if address is not None:
        return float(genai_prices.calc_price(counted, model, provider_api_url=address).total_price)
    return float(genai_prices.calc_price(counted, model, provider_id=provider).total_price)

"""Chat models of several vendors behind one Protocol, asked within limits and a budget, their replies kept.

`open_chat` gives the model for a spec; `Asker` asks it. The rest of the house knows `ChatModel`, `Asker` and the records of `chat` only.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable

from auto_interventions.config import ChatConfig
from auto_interventions.errors import ChatError
from auto_interventions.llm.chat import ChatModel, ChatRequest, Failure, Message, Outcome, Reply, Usage
from auto_interventions.llm.secrets import KEY_VARIABLES, ReadBlock, find_key

__all__ = ["ChatModel", "ChatRequest", "Failure", "Message", "Outcome", "Reply", "Usage", "open_chat", "parse_spec"]

PROVIDERS = (*KEY_VARIABLES, "local")
_EXTRAS = {"gemini": "gemini", "google-generativeai": "generativeai", "openai": "openai", "anthropic": "anthropic"}


def parse_spec(spec: str) -> tuple[str, str]:
    """Provider and model of `provider:model`; asks nobody.

    Raises:
        ChatError: not of that form.
    """
    provider, colon, model = spec.partition(":")
    if not colon or not model.strip():
        raise ChatError(f"{spec!r} names no model; write for example gemini:gemini-2.5-flash ({', '.join(PROVIDERS)})")
    if provider not in PROVIDERS:
        near = difflib.get_close_matches(provider, PROVIDERS, n=1, cutoff=0.0)[0]
        raise ChatError(f"{spec!r}: no provider is called {provider!r}; did you mean `{near}:{model}`?")
    return provider, model


def open_chat(
    spec: str, settings: ChatConfig | None = None, read_block: ReadBlock | None = None, elsewhere: str | None = None
) -> ChatModel:
    """The chat model `spec`: `gemini:MODEL`, `openai:MODEL`, `anthropic:MODEL`, `local:PATH`, `google-generativeai:MODEL`. Asks nobody yet.

    Args:
        spec: provider and model.
        settings: address, time limits, where the key is.
        read_block: reads the Prefect Secret block that `settings.key_block` names.
        elsewhere: the device of the workers that will ask a local model; its weights are not loaded here. None: it is asked here.

    Raises:
        ChatError: no such provider, no key, a missing package (the message names the extra), a local model that cannot be loaded.
    """
    provider, model = parse_spec(spec)
    settings = settings or ChatConfig()
    if provider == "local":
        from auto_interventions.llm.local import LocalChat

        return LocalChat(model, settings, load=elsewhere is None, device=elsewhere)
    own_service = provider == "openai" and _own_service(settings)
    key = find_key(provider, settings.key_block, read_block, optional=own_service)
    try:
        return _adapter(provider)(model, key, settings)
    except ModuleNotFoundError as error:
        raise ChatError(
            f"{spec}: needs a package that is not installed ({error.name}); pip install 'auto-interventions[{_EXTRAS[provider]}]'"
        ) from None


def _own_service(settings: ChatConfig) -> bool:
    """An address other than OpenAI's, which may want no key."""
    return settings.base_url is not None or bool(os.environ.get("OPENAI_BASE_URL"))


def _adapter(provider: str) -> Callable[..., ChatModel]:
    """SDKs are loaded only where they are used: a second each, and none of them is required."""
    if provider == "gemini":
        from auto_interventions.llm.gemini import GeminiChat

        return GeminiChat
    if provider == "openai":
        from auto_interventions.llm.openai import OpenAIChat

        return OpenAIChat
    if provider == "anthropic":
        from auto_interventions.llm.anthropic import AnthropicChat

        return AnthropicChat
    from auto_interventions.llm.generativeai import GenerativeAIChat

    return GenerativeAIChat

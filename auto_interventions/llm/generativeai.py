"""Gemini through google-generativeai, whose support ended in November 2025: for those who must have it. Use `gemini:` instead.

The SDK is configured for the whole process and speaks REST only synchronously, so calls run in threads, and a call that timed out ends
with its thread. It has no schema mode that takes JSON Schema: the schema is told in the prompt.
"""

from __future__ import annotations

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from auto_interventions.config import ChatConfig
from auto_interventions.llm.chat import ChatRequest, Failure, Outcome, Usage
from auto_interventions.llm.faults import Fault, retry_after
from auto_interventions.llm.schemas import finished, told_in_text
from auto_interventions.llm.secrets import Key
from auto_interventions.llm.vendor import VendorChat

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own notice, which names another package than ours does
    import google.generativeai as genai  # pyright: ignore[reportMissingImports]
    from google.api_core import exceptions as api_errors  # pyright: ignore[reportMissingImports]
    from google.protobuf.json_format import ParseError  # pyright: ignore[reportMissingImports]

ADDRESS = "https://generativelanguage.googleapis.com"
_STOP, _MAX_TOKENS, _OTHER = 1, 2, {0, 5}
_sdk: Any = genai
_errors: Any = api_errors
_ParseError: Any = ParseError


class GenerativeAIChat(VendorChat):
    """`google-generativeai:MODEL`."""

    provider = "google-generativeai"
    transport_errors = (_errors.GoogleAPIError, _ParseError)

    def __init__(self, model: str, key: Key, settings: ChatConfig) -> None:
        address = settings.base_url or ADDRESS
        super().__init__(model, key, settings, address)
        warnings.warn(
            f"google-generativeai is no longer supported by Google; write `gemini:{model}` (pip install 'auto-interventions[gemini]')",
            DeprecationWarning,
            stacklevel=3,
        )
        _sdk.configure(api_key=key.reveal(), transport="rest", client_options={"api_endpoint": address})
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="generativeai")

    async def _send(self, request: ChatRequest) -> Outcome:
        response = await asyncio.get_running_loop().run_in_executor(self._threads, self._generate, request)
        return self._outcome(request, response)

    def _generate(self, request: ChatRequest) -> Any:
        messages = told_in_text(request.messages, request.schema) if request.schema is not None else request.messages
        system = [message.text for message in messages if message.role == "system"]
        contents = [
            {"role": "model" if message.role == "assistant" else "user", "parts": [message.text]}
            for message in messages
            if message.role != "system"
        ]
        settings: dict[str, Any] = {"temperature": request.temperature, "max_output_tokens": request.max_tokens}
        if request.schema is not None:
            settings["response_mime_type"] = "application/json"
        model = _sdk.GenerativeModel(self.model, system_instruction="\n\n".join(system) or None)
        return model.generate_content(contents, generation_config=settings, request_options={"timeout": self._timeout, "retry": None})

    def _outcome(self, request: ChatRequest, response: Any) -> Outcome:
        counted = response.usage_metadata
        usage = Usage(counted.prompt_token_count, counted.candidates_token_count, counted.cached_content_token_count)
        if response.prompt_feedback.block_reason:
            return Failure("blocked", f"the prompt was blocked: {response.prompt_feedback.block_reason.name}", usage)
        if not response.candidates:
            return Failure("malformed", "the reply has no candidates", usage)
        candidate = response.candidates[0]
        text = "".join(part.text for part in candidate.content.parts)
        reason = int(candidate.finish_reason)
        if reason == _MAX_TOKENS:
            return Failure("cut", f"the reply reached {request.max_tokens} tokens", usage, text=text)
        if reason != _STOP and reason not in _OTHER:
            return Failure("blocked", f"the reply was blocked: {getattr(candidate.finish_reason, 'name', reason)}", usage)
        return finished(request, text, usage, self.model)

    def _fault(self, error: Exception) -> Fault | Failure:
        if isinstance(error, _errors.GoogleAPICallError):
            told: Any = error
            headers = getattr(told.response, "headers", None) or {}
            body = str(getattr(told.response, "text", ""))  # `told.reason` breaks on what REST sends
            return Fault(int(told.code or 500), str(told.message), body, retry_after(headers, body))
        if "Timeout" in type(error).__name__:
            return self._late()
        return self._broken(error)

"""Claude through Anthropic's SDK."""

from __future__ import annotations

import json
import os
from typing import Any

import anthropic

from auto_interventions.config import ChatConfig
from auto_interventions.llm.chat import ChatRequest, Failure, Outcome, Usage
from auto_interventions.llm.faults import Fault, message_in, retry_after
from auto_interventions.llm.schemas import finished, strict_schema, told_in_text
from auto_interventions.llm.secrets import Key
from auto_interventions.llm.vendor import VendorChat

ADDRESS = "https://api.anthropic.com"


class AnthropicChat(VendorChat):
    """`anthropic:MODEL`. There is no seed: requests that differ by it alone are asked separately."""

    provider = "anthropic"
    transport_errors = (anthropic.APIError,)
    droppable = ("temperature", "output_config", "output_format")

    def __init__(self, model: str, key: Key, settings: ChatConfig) -> None:
        address = settings.base_url or os.environ.get("ANTHROPIC_BASE_URL", "").strip() or ADDRESS
        super().__init__(model, key, settings, address)
        self._client = anthropic.AsyncAnthropic(api_key=key.reveal(), base_url=address, max_retries=0, timeout=settings.timeout_seconds)
        self._closes_with(self._client.close)

    async def _send(self, request: ChatRequest) -> Outcome:
        messages = request.messages
        given: dict[str, Any] = {"model": self.model, "max_tokens": request.max_tokens}
        if request.schema is not None and not self._dropped & {"output_config", "output_format"}:
            given["output_config"] = {"format": {"type": "json_schema", "schema": strict_schema(request.schema)}}
        elif request.schema is not None:
            messages = told_in_text(messages, request.schema)
        if "temperature" not in self._dropped:
            given["extra_body"] = {"temperature": request.temperature}  # the newer models refuse it, so the SDK has no name for it
        system = [message.text for message in messages if message.role == "system"]
        if system:
            given["system"] = "\n\n".join(system)
        given["messages"] = [{"role": message.role, "content": message.text} for message in messages if message.role != "system"]
        return self._outcome(request, await self._client.messages.create(**given))

    def _outcome(self, request: ChatRequest, message: Any) -> Outcome:
        counted = getattr(message, "usage", None)
        if counted is None:
            return self._no_reply()
        cached = counted.cache_read_input_tokens or 0
        usage = Usage(counted.input_tokens + cached + (counted.cache_creation_input_tokens or 0), counted.output_tokens, cached)
        text = "".join(block.text for block in message.content or [] if block.type == "text")
        if message.stop_reason == "refusal":
            return Failure("blocked", "the model refused", usage)
        if message.stop_reason in ("max_tokens", "model_context_window_exceeded"):
            return Failure("cut", f"the reply reached {request.max_tokens} tokens or the model's context", usage, text=text)
        return finished(request, text, usage, message.model or self.model)

    def _fault(self, error: Exception) -> Fault | Failure:
        if isinstance(error, anthropic.APIStatusError):
            body = json.dumps(error.body, default=str)
            return Fault(error.status_code, message_in(error.body) or error.message, body, retry_after(error.response.headers, body))
        if isinstance(error, anthropic.APITimeoutError):
            return self._late()
        return self._broken(error)

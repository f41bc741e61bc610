"""Between texts and token ids: what a model is sent for a prompt, and which text its tokens are.

Raw prompts reach the tokenizer byte for byte (a trailing space can matter) and get the special tokens that the tokenizer itself
adds. With a chat template the prompt is the user's message, after the system prompt if there is one, and the model is to answer.

A prefix is the beginning of the answer: it follows a raw prompt directly, and in a chat the words with which the template opens the
answer. It is encoded together with what is before it, so that no token boundary stands where the model would not put one itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auto_interventions.config import SubjectConfig
from auto_interventions.errors import SubjectError
from auto_interventions.records import Role

# Tokens of the prompt that are decoded together with its continuation: enough for what decoders do at a boundary.
CONTEXT_TOKENS = 16


class Codec:
    """A tokenizer with its chat template and its stop tokens."""

    def __init__(self, tokenizer: Any, config: SubjectConfig, role: Role, stop_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._role = role
        self._where = f"{role}: {config.label}"
        self._system = config.system_prompt
        self._encoded: dict[tuple[str, str], list[int]] = {}
        self.stop_ids = sorted(set(stop_ids) | ({tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set()))
        has_template = getattr(tokenizer, "chat_template", None) is not None
        if config.chat_template == "chat" and not has_template:
            raise SubjectError(f"{self._where} has no chat template, which `{role}.chat_template: chat` needs; use `raw` or `auto`")
        self.chats = config.chat_template == "chat" or (config.chat_template == "auto" and has_template)
        if self._system is not None and not self.chats:
            raise SubjectError(
                f"{self._where} is sent raw prompts, so `{role}.system_prompt` has no place; remove it, or use a model with a chat template"
            )

    def encode(self, prompt: str, prefix: str = "") -> list[int]:
        """The token ids that the model is sent for `prompt`, its answer beginning with `prefix`.

        An empty raw prompt is sent as the token with which the model's texts begin (or, where it has none, the one that ends them and
        so stands before the next).

        Raises:
            SubjectError: the template refuses it, or no token is left of it.
        """
        if (prompt, prefix) not in self._encoded:
            self._encoded[prompt, prefix] = self._ids(prompt, prefix)
        return self._encoded[prompt, prefix]

    def continuation(self, prompt: str, prefix: str, text: str) -> list[int]:
        """The token ids of `text` as they would follow those of `encode(prompt, prefix)`: `decode` gives the text back.

        Tokens do not cross the end of the prompt, as they do not when a model answers. Where no way to split the text gives it back (a
        tokenizer that loses characters), the first one stands.

        Raises:
            SubjectError: as `encode`.
        """
        before = self.encode(prompt, prefix)
        ways: list[list[int]] = []
        whole = self._ids(prompt, prefix + text)
        if whole[: len(before)] == before:
            ways.append(whole[len(before) :])
        ways.append(self._bare(text))
        for mark in ("\n", "."):  # tokenizers that put a space before whatever they are given put it before the mark
            alone, together = self._bare(mark), self._bare(mark + text)
            if together[: len(alone)] == alone:
                ways.append(together[len(alone) :])
        return next((ids for ids in ways if self.decode(before, ids) == text), ways[0])

    def decode(self, prompt_ids: Sequence[int], new_ids: Sequence[int]) -> str:
        """The text of `new_ids` as it follows the prompt: exact but for special tokens, which are dropped.

        Some decoders (SentencePiece) drop the space before the first word of what they are given, so the end of the prompt is decoded
        with the continuation and then cut off. Where the prompt ends within a character, the continuation is decoded alone.
        """
        context = list(prompt_ids[-CONTEXT_TOKENS:])
        before = self._text(context)
        together = self._text([*context, *new_ids])
        return together[len(before) :] if together.startswith(before) else self._text(list(new_ids))

    def check_free(self) -> None:
        """Finds out whether the model can write from nothing.

        Raises:
            SubjectError: it is sent chats, which start with somebody's question; or it has no token to start from.
        """
        if self.chats:
            raise SubjectError(
                f"{self._where} is sent chats, which begin with a question, so `prompts.source: free` cannot apply; give a prompt file "
                f"(`source: file`), or a base model with `{self._role}.chat_template: raw`"
            )
        try:
            self.encode("")
        except SubjectError:
            raise SubjectError(
                f"{self._where} has no token from which a text could begin (neither bos nor eos), which `prompts.source: free` needs; "
                f"give a prompt file (`source: file`)"
            ) from None

    def _ids(self, prompt: str, prefix: str) -> list[int]:
        return self._chat(prompt, prefix) if self.chats else self._raw(prompt + prefix)

    def _bare(self, text: str) -> list[int]:
        """The tokens of `text` alone; what looks like a special token is text."""
        return list(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _raw(self, prompt: str) -> list[int]:
        ids: list[int] = list(self._tokenizer(prompt)["input_ids"])
        bare: list[int] = list(self._tokenizer(prompt, add_special_tokens=False)["input_ids"])
        # Tokenizers set up for training may end every text with a stop token, after which there is nothing to say.
        while ids and ids[-1] in self.stop_ids and bare[-1:] != ids[-1:]:
            ids.pop()
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = [int(self._tokenizer.bos_token_id)]
        if not ids and not prompt and self._tokenizer.eos_token_id is not None:
            ids = [int(self._tokenizer.eos_token_id)]
        if not ids:
            raise SubjectError(f"{self._where} has no token for the prompt {prompt!r}; remove the prompt")
        return ids

    def _chat(self, prompt: str, prefix: str) -> list[int]:
        messages = [{"role": "system", "content": self._system}] if self._system is not None else []
        messages.append({"role": "user", "content": prompt})
        try:
            text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # a template is a program of the model's makers and raises what it likes
            hint = "; remove `system_prompt` if the model knows none" if self._system is not None else "; use `chat_template: raw`"
            raise SubjectError(f"{self._where}: the chat template refuses the prompt {prompt[:60]!r} ({error}){hint}") from error
        return list(self._tokenizer(text + prefix, add_special_tokens=False)["input_ids"])

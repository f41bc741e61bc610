"""Between texts and token ids: what a model is sent for a prompt, and which text its tokens are.

Raw prompts reach the tokenizer byte for byte (a trailing space can matter) and get the special tokens that the tokenizer itself
adds. With a chat template the prompt is the user's message, after the system prompt if there is one, and the model is to answer. `wrap`
stands around the prompt in both.

Whatever comes from a prompt bank, a persona or an earlier text is text: a special token that is written in it (`<|im_end|>`, say) is
spelled out to the model, and cannot end a turn. Only templates, and a `wrap` around raw prompts, may write special tokens.

A prefix is the beginning of the answer: it follows a raw prompt directly, and in a chat the words with which the template opens the
answer. It is encoded together with what is before it, so that no token boundary stands where the model would not put one itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from auto_interventions.config import SubjectConfig
from auto_interventions.config_parts import around
from auto_interventions.errors import SubjectError
from auto_interventions.records import Role

# Tokens of the prompt that are decoded together with its continuation: enough for what decoders do at a boundary.
CONTEXT_TOKENS = 16
# Some templates write the day into the system prompt. It is always this one, so that a text does not depend on when it is made.
TODAY = datetime(2025, 1, 1)
# Stand in for special tokens while a template is filled in: private characters, which no template looks for.
_FIRST_STAND_IN = 0xF0000
_CODES = ("%-d", "%d", "%-m", "%m", "%b", "%B", "%y", "%Y", "%a", "%A", "%j", "%H", "%I", "%p", "%M", "%S")
_NO_CLOCK = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f"|replace({code!r}, {TODAY.strftime(code)!r})" for code in _CODES)
    + " }}{%- endmacro -%}"
)


class Codec:
    """A tokenizer with its chat template and its stop tokens."""

    def __init__(self, tokenizer: Any, config: SubjectConfig, role: Role, stop_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._role = role
        self._where = f"{role}: {config.label}"
        self._system = config.system_prompt
        self._around = around(config.wrap)
        self._wraps = config.wrap is not None
        self._encoded: dict[tuple[str, str], list[int]] = {}
        self.stop_ids = sorted(set(stop_ids) | ({tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set()))
        has_template = getattr(tokenizer, "chat_template", None) is not None
        if config.chat_template == "chat" and not has_template:
            raise SubjectError(f"{self._where} has no chat template, which `{role}.chat_template: chat` needs; use `raw` or `auto`")
        self.chats = config.chat_template == "chat" or (config.chat_template == "auto" and has_template)
        if self._system is not None and not self.chats:
            raise SubjectError(
                f"{self._where} is sent raw prompts, so `{role}.system_prompt` has no place; remove it, put it into `{role}.wrap`, or use "
                f"a model with a chat template"
            )
        # Turns end as the template ends them, whatever the model's files call an end: else it would go on with a user's turn of its own.
        end = self._turn_end() if self.chats else None
        self.end: int | None = end if end is not None else tokenizer.eos_token_id
        """The token that ends an answer, as a model that is trained on answers must learn it."""
        self.peculiarities: dict[str, object] = {}
        """What else decides over texts, for the fingerprint."""
        if end is not None and end not in self.stop_ids:
            self.stop_ids = sorted([*self.stop_ids, end])
            self.peculiarities["turn end"] = end
        if self.chats and "strftime_now" in str(tokenizer.chat_template):
            self.peculiarities["today"] = TODAY.date().isoformat()

    def check(self) -> None:
        """Finds out whether the template takes what it will be given.

        Raises:
            SubjectError: it refuses a system prompt, or drops it.
        """
        if self.chats:
            self._filled("Hello there", "")

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
        ways += self._ways(text)
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
        if self._wraps:
            raise SubjectError(f"`{self._role}.wrap` stands around a prompt, and `prompts.source: free` has none; remove one of them")
        try:
            self.encode("")
        except SubjectError:
            raise SubjectError(
                f"{self._where} has no token from which a text could begin (neither bos nor eos), which `prompts.source: free` needs; "
                f"give a prompt file (`source: file`)"
            ) from None

    def sent(self, prompt: str, prefix: str = "") -> str:
        """What the model is sent for `prompt`, as a text: `encode` without what the tokenizer itself adds before a raw one.

        Raises:
            SubjectError: the template refuses it.
        """
        return "".join(piece for piece, _ in self._pieces(prompt, prefix))

    def written(self, text: str, spelled: bool) -> list[int]:
        """The token ids of `text` in the middle of a text; what looks like a special token is `spelled` out, or is the token."""
        before = self._bare("a.")
        shown = self._shown(before)
        ways = self._ways(text, spelled)
        return next((way for way in ways if self._shown([*before, *way]) == shown + text), ways[0])

    def shown(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens too."""
        return self._shown(list(ids))

    def _ids(self, prompt: str, prefix: str) -> list[int]:
        """The pieces' tokens, one after the other. Almost always there is one piece: no prompt holds a special token."""
        pieces = self._pieces(prompt, prefix)
        text, literal = pieces[0]
        ids = self._bare(text, literal) if self.chats else self._raw(text, literal)
        for text, literal in pieces[1:]:
            shown = self._shown(ids)
            ways = self._ways(text, literal)
            ids = ids + next((way for way in ways if self._shown([*ids, *way]) == shown + text), ways[0])
        if len(pieces) > 1:
            written = sum(len(self._special.findall(text)) for text, literal in pieces if not literal)
            added = 0 if self.chats else sum(token in self._special_ids for token in self._tokenizer("")["input_ids"])
            if sum(token in self._special_ids for token in ids) > written + added:
                raise SubjectError(
                    f"{self._where} cannot be sent the special tokens in the prompt {prompt[:60]!r} as text; remove the prompt"
                )
        return ids

    def _pieces(self, prompt: str, prefix: str) -> list[tuple[str, bool]]:
        """What is sent, cut around the special tokens that are text (True), not tokens."""
        before, after = self._around
        if self.chats:
            filled = self._filled(before + prompt + after, prefix)
        else:
            filled = before + self._masked(prompt) + after + self._masked(prefix, self._special)
        pieces: list[tuple[str, bool]] = []
        for part in re.split(self._stand_ins, filled) if self._stand_ins else [filled]:
            if part in self._masks:
                name = self._masks[part]
                # The tokenizer's own switch knows special tokens only; another one is cut in two.
                spelled = [name] if self._tokenizer.convert_tokens_to_ids(name) in self._special_ids else [name[:1], name[1:]]
                pieces += [(piece, True) for piece in spelled]
            elif part or not pieces:
                pieces.append((part, False))
        return pieces if len(pieces) == 1 or pieces[0][0] else pieces[1:]

    def _filled(self, content: str, prefix: str) -> str:
        """The template with the messages in it; special tokens in them are stand-ins."""
        system, content = self._masked(self._system or ""), self._masked(content)
        messages = [{"role": "system", "content": system}] if self._system is not None else []
        messages.append({"role": "user", "content": content})
        try:
            text = self._template(messages, True)
        except Exception as error:  # a template is a program of the model's makers and raises what it likes
            hint = (
                "; remove `system_prompt` if the model knows none, or put it into `wrap`" if messages[1:] else "; use `chat_template: raw`"
            )
            raise SubjectError(f"{self._where}: the chat template refuses the prompt {content[:60]!r} ({error}){hint}") from error
        if system.strip() not in text:
            raise SubjectError(f"{self._where}: the chat template leaves `{self._role}.system_prompt` out; put it into `{self._role}.wrap`")
        if content.strip() not in text:
            raise SubjectError(
                f"{self._where}: the chat template changes or leaves out the prompt {content[:60]!r}; use `chat_template: raw`"
            )
        return text + self._masked(prefix, self._special)

    def _template(self, messages: list[dict[str, str]], to_answer: bool) -> str:
        program: str = self._tokenizer.get_chat_template()
        if "strftime_now" in program:
            program = _NO_CLOCK + program
        text: str = self._tokenizer.apply_chat_template(messages, chat_template=program, tokenize=False, add_generation_prompt=to_answer)
        return text

    def _turn_end(self) -> int | None:
        """The special token with which the template ends an answer; None where it has none, or refuses an answer."""
        answer = "This is the answer"
        try:
            text = self._template([{"role": "user", "content": "This is a question"}, {"role": "assistant", "content": answer}], False)
        except Exception:  # its own rules about turns: the model's files must say how a turn ends
            return None
        behind = self._special.match(text.rpartition(answer)[2].lstrip())
        return None if behind is None else int(self._tokenizer.convert_tokens_to_ids(behind.group()))

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        added: dict[int, Any] = getattr(self._tokenizer, "added_tokens_decoder", {})
        return frozenset({*self._tokenizer.all_special_ids, *(number for number, token in added.items() if token.special)})

    @cached_property
    def _special_names(self) -> set[str]:
        return {str(self._tokenizer.convert_ids_to_tokens(number)) for number in self._special_ids} - {""}

    @cached_property
    def _control_names(self) -> set[str]:
        """Special tokens, and what else of the added ones the template writes, such as <think>."""
        added = {str(token.content) for token in getattr(self._tokenizer, "added_tokens_decoder", {}).values()}
        program = str(self._tokenizer.chat_template) if self.chats else ""
        return self._special_names | {name for name in added if len(name.strip()) > 1 and name in program}

    @cached_property
    def _special(self) -> re.Pattern[str]:
        return _any_of(self._special_names)

    @cached_property
    def _control(self) -> re.Pattern[str]:
        return _any_of(self._control_names)

    @cached_property
    def _masks(self) -> dict[str, str]:
        """Stand-in → special token."""
        return {chr(_FIRST_STAND_IN + place): name for place, name in enumerate(sorted(self._control_names))}

    @cached_property
    def _stand_ins(self) -> str:
        return f"([{''.join(self._masks)}])" if self._masks else ""

    def _masked(self, text: str, names: re.Pattern[str] | None = None) -> str:
        return (names or self._control).sub(lambda found: self._mask_of[found.group()], text)

    @cached_property
    def _mask_of(self) -> dict[str, str]:
        return {name: mask for mask, name in self._masks.items()}

    def _ways(self, text: str, literal: bool = True) -> list[list[int]]:
        """Ways to split a text that follows another one."""
        ways = [self._bare(text, literal)]
        for mark in ("\n", "."):  # tokenizers that put a space before whatever they are given put it before the mark
            alone, together = self._bare(mark, literal), self._bare(mark + text, literal)
            if together[: len(alone)] == alone:
                ways.append(together[len(alone) :])
        return ways

    @cached_property
    def _literal(self) -> Any:
        """A tokenizer to which special tokens are text like any other. One of its own, because the switch is the tokenizer's."""
        return copy.deepcopy(self._tokenizer)

    def _bare(self, text: str, literal: bool = True) -> list[int]:
        """The tokens of `text` alone; where it is `literal`, what looks like a special token is text."""
        if literal:
            return list(self._literal(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _shown(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _raw(self, text: str, literal: bool) -> list[int]:
        tokenizer = self._literal if literal else self._tokenizer
        ids: list[int] = list(tokenizer(text, **({"split_special_tokens": True} if literal else {}))["input_ids"])
        bare = self._bare(text, literal)
        # Tokenizers set up for training may end every text with a stop token, after which there is nothing to say.
        while ids and ids[-1] in self.stop_ids and bare[-1:] != ids[-1:]:
            ids.pop()
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = [int(self._tokenizer.bos_token_id)]
        if not ids and not text and self._tokenizer.eos_token_id is not None:
            ids = [int(self._tokenizer.eos_token_id)]
        if not ids:
            raise SubjectError(f"{self._where} has no token for the prompt {text!r}; remove the prompt")
        return ids


def _any_of(names: set[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)")

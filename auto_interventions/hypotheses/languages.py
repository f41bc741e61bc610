"""The language of a text, or none where the text does not tell: a small closed set, and texts too short or too mixed abstain."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

LANGUAGES: dict[str, str] = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""The languages that are told apart (ISO 639-1)."""

_HEAD = 600  # characters that are looked at
_FEWEST_LETTERS = 20
_CONFIDENT = 0.5
# Where a fifth of the words are these the text is English; saves asking the model about nearly every text.
_ENGLISH = frozenset(
    ("the", "and", "of", "to", "was", "is", "it", "that", "with", "for", "his", "her", "they", "you", "are", "not", "this", "have",
     "had", "but", "were", "she", "he", "when", "what", "there", "be", "said", "would", "which", "on", "at", "as", "your")
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=16384)
def language_of(head: str) -> str | None:
    """ISO 639-1 code, or None where the text is too short, or no language of the set stands out. Looks at the first 600 characters."""
    head = head[:_HEAD]
    words = _WORD.findall(head.lower())
    if sum(map(len, words)) < _FEWEST_LETTERS and not _dense(words):
        return None
    if sum(word in _ENGLISH for word in words) >= max(2, 0.2 * len(words)):
        return "en"
    code, confidence = _identifier().classify(head.encode("utf-8", "replace").decode("utf-8"))
    return str(code) if float(confidence) >= _CONFIDENT else None


def _dense(words: list[str]) -> bool:
    """Eight characters of Han, kana or Hangul say as much as twenty letters."""
    return sum(character >= "\u1100" for word in words for character in word) >= 8


@cache
def _identifier() -> Any:
    # The package's own module-level identifier is shared by everybody who imports it; ours is restricted, so it is a separate one.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(sorted(LANGUAGES))
    return identifier

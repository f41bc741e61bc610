"""The published banks: who made each, under which licence, where it lies, how its authors put it to models.

A bank is read from a local file or folder as its authors publish it, or from the hub, at a fixed commit where one is known. What its
authors put around a prompt is put around it here, unless `prompts.wrap` says otherwise (docs/banks.md tells what other work does).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from auto_interventions.config import PromptsConfig
from auto_interventions.config_parts import PLACE
from auto_interventions.errors import PromptError
from auto_interventions.prompts import formats
from auto_interventions.prompts.hub import HubFiles, hub_files
from auto_interventions.prompts.rows import BankRow, Origin

MPI_FORM = f"""Question:
Given a statement of you: "You {PLACE}."
Please choose from the following options to identify how accurately this statement describes you.
Options:
(A). Very Accurate
(B). Moderately Accurate
(C). Neither Accurate Nor Inaccurate
(D). Moderately Inaccurate
(E). Very Inaccurate

Answer:"""


@dataclass(frozen=True, slots=True)
class PublishedBank:
    """One bank. `local`: where its files lie in a copy of what the authors publish, the first pattern that fits; `hub`: data set, commit
    and pattern, None where the hub has no copy; `form`: what the authors put around a prompt; `lower`: and in small letters."""

    title: str
    licence: str
    cite: str
    address: str
    read: Callable[[Path], list[BankRow]]
    local: tuple[str, ...]
    hub: tuple[str, str | None, str] | None
    form: str = PLACE
    form_source: str = ""
    lower: bool = False

    def formed(self, text: str) -> str:
        """`text` as its authors put it to a model."""
        return self.form.replace(PLACE, text.lower() if self.lower else text)


BANKS: dict[str, PublishedBank] = {
    "mwe": PublishedBank(
        "Model-Written Evaluations: personas (Anthropic)",
        "CC-BY-4.0",
        "Perez et al. 2022, Discovering Language Model Behaviors with Model-Written Evaluations, arXiv:2212.09251",
        "https://github.com/anthropics/evals",
        formats.read_mwe,
        ("persona/*.jsonl", "*.jsonl"),
        ("Anthropic/model-written-evals", "d533f626cc321c92175a58ee570aa3cdb87238d1", "persona/*.jsonl"),
    ),
    "truthfulqa": PublishedBank(
        "TruthfulQA",
        "Apache-2.0",
        "Lin, Hilton & Evans 2022, TruthfulQA: Measuring How Models Mimic Human Falsehoods, ACL, arXiv:2109.07958",
        "https://github.com/sylinrl/TruthfulQA",
        formats.read_truthfulqa,
        ("TruthfulQA.csv", "generation/*.parquet", "*.csv", "*.parquet"),
        ("truthfulqa/truthful_qa", "741b8276f2d1982aa3d5b832d3ee81ed3b896490", "generation/*.parquet"),
        f"Q: {PLACE}\nA:",
        "the QA prompt of Lin et al. 2022, without its examples",
    ),
    "bold": PublishedBank(
        "BOLD: Bias in Open-ended Language Generation Dataset",
        "CC-BY-SA-4.0",
        "Dhamala et al. 2021, BOLD: Dataset and Metrics for Measuring Biases in Open-Ended Language Generation, FAccT, arXiv:2101.11718",
        "https://github.com/amazon-science/bold",
        formats.read_bold,
        ("prompts/*_prompt.json", "*_prompt.json", "*_prompt_wiki.json"),
        ("AmazonScience/bold", None, "*_prompt_wiki.json"),
    ),
    "mpi": PublishedBank(
        "MPI: Machine Personality Inventory",
        "MIT",
        "Jiang et al. 2023, Evaluating and Inducing Personality in Pre-trained Language Models, NeurIPS, arXiv:2206.07550",
        "https://github.com/jianggy/MPI",
        formats.read_mpi,
        ("inventories/mpi_1k.csv", "mpi_1k.csv", "mpi_120.csv"),
        None,
        MPI_FORM,
        "the template of Jiang et al. 2023 (templates/gpt-3.txt)",
        lower=True,
    ),
    "jailbreak": PublishedBank(
        "jailbreak_llms: forbidden questions",
        "MIT",
        "Shen et al. 2024, “Do Anything Now”: Characterizing and Evaluating In-The-Wild Jailbreak Prompts, CCS, arXiv:2308.03825",
        "https://github.com/verazuo/jailbreak_llms",
        formats.read_jailbreak,
        (
            *("data/forbidden_question/forbidden_question_set.csv", "forbidden_question_set.csv"),
            *("data/prompts/jailbreak_prompts_*.csv", "jailbreak_prompts_*.csv", "jailbreak_*/*.parquet"),
        ),
        ("TrustAIRLab/forbidden_question_set", None, "forbidden_question_set.csv"),
    ),
    "xstest": PublishedBank(
        "XSTest",
        "CC-BY-4.0",
        "Röttger et al. 2024, XSTest: A Test Suite for Identifying Exaggerated Safety Behaviours in LLMs, NAACL, arXiv:2308.01263",
        "https://github.com/paul-rottger/xstest",
        formats.read_xstest,
        ("xstest_prompts.csv", "xstest_v2_prompts.csv"),
        ("Paul/XSTest", "f600c994b256f12867dfa5b3eb3d545a3e62f8b5", "xstest_prompts.csv"),
    ),
}


def find_files(config: PromptsConfig) -> HubFiles:
    """The files of the published bank `config.source`.

    Raises:
        PromptError: they are not at `path`, or the hub cannot be reached and has not cached them.
    """
    bank = BANKS[config.source]
    if config.path is not None:
        return HubFiles(tuple(_local(Path(config.path), bank)), "")
    if bank.hub is None:
        raise PromptError(
            f"prompts: {bank.title} is not on the hub; download it from {bank.address} and give its file or folder as `prompts.path`"
        )
    dataset, revision, pattern = bank.hub
    return hub_files(dataset, config.dataset_revision or revision, lambda names: _matching(names, pattern, dataset))


def origin_of(config: PromptsConfig, files: HubFiles) -> Origin:
    """Where the bank `config.source`, read from `files`, comes from."""
    bank = BANKS[config.source]
    place = config.path if config.path is not None else f"hub:{bank.hub[0] if bank.hub else ''}"
    return Origin(bank.title, place, files.revision, bank.licence, bank.cite, bank.address)


def _local(path: Path, bank: PublishedBank) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        else_hub = ", or leave `prompts.path` out: the hub has it" if bank.hub else ""
        raise PromptError(f"{path}: no such file or folder; download {bank.title} from {bank.address}{else_hub}")
    found = next((files for pattern in bank.local if (files := sorted(path.glob(pattern)))), [])
    if not found:
        raise PromptError(f"{path}: holds none of the files of {bank.title} ({', '.join(bank.local)}); give its folder, or the file itself")
    return found


def _matching(names: Sequence[str], pattern: str, dataset: str) -> list[str]:
    found = sorted(name for name in names if fnmatch(name, pattern))
    if not found:
        raise PromptError(f"{dataset}: has no file {pattern} at this revision; name another one as `prompts.dataset_revision`")
    return found

"""Compare Keel with published methods on a suite of data sets, or measure the speed of the service.

keel bench polis --data FOLDER --json      one JSON object on standard output
keel bench attributes --quick              a small run, within three minutes
keel bench page --results FOLDER           docs/benchmarks.md from the files that --out wrote
keel bench pairs --data FILE --judge MODEL also a language model, given the answers in its prompt
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.compare.counts import at_least
from bench.compare.judges.endpoint import KEY
from bench.compare.judges.opening import CONTEXT, JudgeName, try_out
from bench.compare.judges.prompts import TEXT_TOKENS
from bench.compare.report import report
from bench.compare.run import Subsample, Task, run, tasks
from bench.compare.terminal import show
from bench.compare.world import World, texts_of
from elicitation.errors import InvalidInput, KeelError

SUITES = {
    "attributes": "84 simulated people; each likes two of 14 signed traits of real texts (the design of PReF)",
    "polis": "real votes in public opinion conversations, tested on statements with votes in training (--data)",
    "polis-text": "the same people, tested on statements known by their text alone (--data)",
    "ukp": "crowd workers choose the more convincing of two arguments, UKPConvArg1 (--data)",
    "bank": "simulated people answer the questions of the shipped bank",
    "llmfao": "people choose between two models' answers to 13 prompts, LLMFAO (--data)",
    "captions": "people choose between two captions of a picture, caption_density (--data)",
    "mtbench": "people choose between two models' answers in two turns, MT-bench (--data)",
    "dices": "people say whether a chatbot's replies are unsafe, DICES-350 (--data)",
    "pairs": "your own comparisons or ratings, as keel train reads them; tests people with 8 judgments (--data)",
    "votes": "your own folder of statements and votes, as keel train reads it (--data)",
}
TOOLS = {
    "speed": "time of scoring and of choosing a question (the default)",
    "page": "write docs/benchmarks.md from saved results",
}
JUDGE = (
    "a causal language model that transformers loads, by folder or name, or an OpenAI-compatible endpoint "
    f"http(s)://host/v1 that gives logprobs; its key is read from {KEY}. Without a judge these methods do not exist"
)
WINDOW = (
    f"prompts are at most so long, the oldest answers left out first (default {CONTEXT}, or the local model's own "
    f"window if shorter); prompts and responses are cut to {TEXT_TOKENS} tokens each"
)
METHODS_MODULE = "bench.compare.methods"
SEEDS, QUICK_SEEDS = 2, 1
SLOW, QUICK_SLOW = Subsample(people=20, each=4, seeds=2), Subsample(people=3, each=1, seeds=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.suite == "page":
            from bench.compare.page import write

            write(options.results, options.page, tuple(SUITES))
        else:
            _print(speed() if options.suite == "speed" else measure(options), options)
    except KeelError as error:
        print(f"keel bench: {error}", file=sys.stderr)
        return 1
    return 0


def speed() -> dict[str, Any]:
    """Throughput of the service and time of a question."""
    from bench.studies import speed as suite

    return suite.run()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """A suite's report, with the command that gives it again."""
    methods_module = importlib.import_module(METHODS_MODULE)
    judge = _judge(options)
    judged = methods_module.judged(judge) if judge else {}
    known = [*methods_module.METHODS, *judged]
    methods = options.methods.split(",") if options.methods else known
    if strangers := sorted(set(methods) - set(known)):
        raise InvalidInput(f"--methods names {', '.join(strangers)}; known are {', '.join(known)}")
    seeds = options.seeds or (QUICK_SEEDS if options.quick else SEEDS)
    suite = importlib.import_module(f"bench.compare.worlds.{options.suite.replace('-', '_')}")
    with Console(stderr=True).status("worlds"):
        drawn = range(options.first_seed, options.first_seed + seeds)
        worlds = [world for seed in drawn for world in suite.worlds(seed, options.quick, options.data)]
    sample = QUICK_SLOW if options.quick else SLOW
    todo = _judged_tasks(worlds, [method for method in methods if method in judged], sample)
    # Only a judge reads texts; to the processes of all others they would travel for nothing.
    worlds = [replace(world, texts=None) for world in worlds]
    own = [method for method in methods if method not in judged]
    todo += tasks(worlds, own, methods_module.SLOW, sample, methods_module.TOGETHER)
    played = run(todo, METHODS_MODULE, more=judged)
    trajectories = sorted(played, key=lambda trajectory: methods.index(trajectory.method))
    return {"command": _command(options, seeds), **report(options.suite, trajectories)}


def _judge(options: argparse.Namespace) -> JudgeName | None:
    """The judge, if one is asked for; raises InvalidInput if it cannot be used."""
    if not options.judge:
        if options.judge_model:
            raise InvalidInput(f"--judge-model {options.judge_model} has no endpoint; add --judge http(s)://host/v1")
        return None
    judge = JudgeName(options.judge, options.judge_model, options.judge_context)
    with Console(stderr=True).status("judge"):
        try_out(judge)
    return judge


def _judged_tasks(worlds: Sequence[World], methods: Sequence[str], sample: Subsample) -> list[Task]:
    """Tasks of methods that need a judge; raises InvalidInput if a world has nothing for it to read."""
    if methods:
        for world in worlds:
            texts_of(world)
    return tasks(worlds, methods, frozenset(methods), sample, [frozenset(methods)])


def _command(options: argparse.Namespace, seeds: int) -> str:
    words = ["keel bench", options.suite, *(["--data DATA"] if options.data else []), f"--seeds {seeds}"]
    words += [f"--first-seed {options.first_seed}"] if options.first_seed else []
    words += (["--quick"] if options.quick else []) + ([f"--methods {options.methods}"] if options.methods else [])
    words += ["--judge JUDGE"] if options.judge else []
    words += [f"--judge-model {options.judge_model}"] if options.judge_model else []
    words += [f"--judge-context {options.judge_context}"] if options.judge_context != CONTEXT else []
    return " ".join(words)


def _print(result: dict[str, Any], options: argparse.Namespace) -> None:
    text = json.dumps(result, allow_nan=False)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
    if options.json:
        print(text)
    else:
        show(result)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keel bench", description=__doc__, epilog=_suites(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("suite", nargs="?", choices=[*SUITES, *TOOLS], default="speed", metavar="SUITE", help="one of the list below")
    add("--data", type=Path, help="file or folder with the data of the suite (pairs: a file, votes: a folder)")
    add("--seeds", type=at_least(1), help=f"number of splits into training and held-out people (default {SEEDS})")
    add("--first-seed", type=at_least(0), default=0, help="first random seed (default 0, as published)")
    add("--quick", action="store_true", help="one seed and fewer people: a small run, within three minutes")
    add("--methods", help="names of methods, separated by commas (default: all)")
    judge = parser.add_argument_group("methods in-context and persona (llmfao, captions, mtbench, pairs of texts)")
    judge.add_argument("--judge", help=JUDGE)
    judge.add_argument("--judge-model", metavar="NAME", help="the model's name, where --judge is an endpoint")
    judge.add_argument("--judge-context", metavar="TOKENS", type=at_least(1), default=CONTEXT, help=WINDOW)
    add("--json", action="store_true", help="print one JSON object on standard output")
    add("--out", type=Path, help="also write the JSON object to this file")
    add("--results", type=Path, default=Path("docs/benchmarks"), help="page: folder of the suites' JSON files")
    add("--page", type=Path, default=Path("docs/benchmarks.md"), help="page: output file")
    return parser


def _suites() -> str:
    return "\n".join(["suites:", *(f"  {name:<12}{text}" for name, text in (SUITES | TOOLS).items())])


if __name__ == "__main__":
    raise SystemExit(main())

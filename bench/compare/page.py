"""docs/benchmarks.md, with its plots, from the JSON files that ``keel bench SUITE --out FOLDER/SUITE.json`` wrote."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.compare.plots import draw
from bench.compare.report import KEEL
from bench.compare.terminal import POLICY, SHOWN, estimate, many, number
from elicitation.errors import InvalidInput

STAGES = ("0", "5", "10", "20")
RATED = "10"
PROSE = {
    "intro": "How many answers does a personal reward need? Every method learns from the same training people and "
    "is tested on the same held-out people. If a world has prompts, the test prompts are held out too. All "
    "methods have the same features. Each method learns its own heads from them by its published rule. Its "
    "settings are chosen by cross-validation over training people (and over prompts, if prompts are held out), "
    "never on the people reported here. AUC is over all targets of all people of a world, then the mean over "
    "conversations; intervals are 95 % bootstraps over people. Keel's rewards are those before the guard; "
    "[guard.md](guard.md) has the guard's cost.\n\n"
    "Two columns say what people get from a reward that chooses for them. `best of 4`: of four of a person's held-out "
    "candidates, drawn at random, the one predicted highest is taken. For votes the figure is how often the person "
    "agrees with it. For simulated tastes it is how much better it is than a random answer to the prompt, in standard "
    "deviations of the person's hidden utility there. Where people compared two responses nothing is known of four; "
    "best of 2 is the accuracy. `worst tenth`: the mean accuracy of the tenth of people whose own accuracy is lowest, "
    "over at least ten targets each in all seeds. Every bootstrap draw has its own worst tenth. Chance puts people "
    "into it too, so it is for comparing methods.\n\n"
    "`pref-published` is PReF with the penalties of its paper. `pref` has tuned penalties, and an unpublished "
    "ridge penalty on its heads. `pref-tuned` also has a tuned ridge penalty on a new person's coefficients, "
    "which is a prior with mean zero. `ridge` and the Gaussian processes use the heads of `pref-tuned`. `keel` is "
    "the shipped method; it asks by `keel-iopt`. `keel-shuffled` learns from judgments that are assigned to "
    "random people, so it must fall to the aggregate. Slow methods run on a subsample and are compared on it "
    "alone.\n\n"
    "`in-context` and `persona` ask a language model, and exist only where `--judge` names one: a folder or name of "
    "a causal model, or an OpenAI-compatible endpoint with `--judge-model`. `in-context` reads the person's answers "
    "and a pair. `persona` first writes a short description from the answers, then reads the description and a "
    "pair. Both read every pair in both orders, so that a liking for the letter A cancels. They learn nothing from "
    "the training people, have no tuned settings, read texts in place of features, and ask at random. They run on "
    "the subsample of slow methods, in llmfao, captions, mtbench and pairs.\n\n"
    "In 0.1.0 the rule by which Keel chooses its settings was changed three times after results on these splits: a "
    "loss in ukp, then one in polis, and a shuffled control above chance in attributes. Each change was decided on "
    "other splits of the same people. The method of this version was changed after results of 0.1.0 on few people and "
    "on statements known by text, and was decided on seeds 5 to 9.\n\n"
    "The slow methods were run in ukp, llmfao, captions, mtbench and dices; where a command names methods, they were "
    "left out. On two cores that also did other work, two seeds took 54 minutes in dices, 26 in polis-text, 15 in "
    "llmfao, mtbench and polis, 10 in ukp, 9 in captions and 7 in bank; five seeds of attributes took 9.",
    "attributes": "PReF's design: 84 simulated people. Each likes two of 14 signed traits that were written into "
    "real answers. People with opposite tastes are held out together, so that the aggregate is at chance. Heads "
    "are learned from 50 judgments of each of 50 people. The tastes do not depend on the features.",
    "polis": "Real votes of real people in nine conversations. The questions of a held-out person are their own "
    "votes. Half of these votes are targets, the same at every number of answers. A statement is known by its "
    "votes alone. After five answers the shipped rule is ahead of random questions in seven of the nine conversations, "
    "by 0.011 in the mean of all.",
    "polis-text": "The same people, tested from the text alone on statements without votes in training. RFM is "
    "ahead of Keel after ten and twenty answers, and chosen questions gain next to nothing over random ones. The "
    "intervals are over people, not over the choice of hidden statements, which has a larger effect.",
    "ukp": "Crowd workers choose the more convincing of two arguments. People and whole debates are held out. "
    "Workers' preferences in one debate do not predict the next, so the test is that nothing is lost.",
    "bank": "Simulated people answer the questions of the shipped bank, with the shipped base rewards as "
    "features. Each person has two to four recorded tastes. The people have nothing in common, so that the "
    "aggregate is at chance.",
    "llmfao": "People compare two language models' answers to one of 13 prompts. Everybody with eight judgments is "
    "held out once a seed, in five groups, each with prompts of its own. Questions that Keel chooses gain nothing over "
    "random ones. The head that Keel holds its mean at is learned from ties too, which the aggregate leaves out.",
    "captions": "People compare two captions of a picture: few people and few pictures, divided as in llmfao. People "
    "differ most in how they like length.",
    "mtbench": "People compare two language models' answers, in two turns. Divided as in llmfao. Answers do not help "
    "here, and move next to nothing. VPL is ahead of Keel by 0.022 without answers.",
    "dices": "People say whether a chatbot's replies are unsafe. Two worlds: replies known by other people's votes, "
    "and replies known by their text.",
    "few": "Which step of Keel's fit gives what, on the people of llmfao and captions. Each row takes one step out; "
    "all other settings are chosen again. Questions are random. The columns after the second are differences from the "
    "first row, with 95 % intervals over people.\n\n"
    "Nothing is lost without answers, in either set. The spread of people over length gives most of what answers give; "
    "tastes add 0.005 or less. Where λ̄ is learned with the population, answers help less in captions (NLL −0.015 in "
    "place of −0.067). Without the test that spread and tastes must surely gain, these two sets would be a little "
    "better; it is there for people whose differences do not last, as in ukp.",
    "subsets": "Keel and the tuned aggregate head where few people teach: of each split's training people 15 to 60 "
    "stay, drawn at random. Held-out people are those of the suite; questions are random. After the aggregate's AUC "
    "the columns are Keel's differences from it, with 95 % intervals over people. `all` is the mean over "
    "conversations.\n\nIn the mean Keel is not behind without answers, and answers gain. Single sets lose: of the 36, "
    "five have a negative log-likelihood that is more than 0.005 above the aggregate's at some number of answers. In "
    "the worst, in polis-text, 15 people teach: how far they differ is learned from too few, and answers harm by 0.05.",
    "prior": "`keel train --prior default` on people of llmfao. Of 20 or 40 people heads and population are learned, "
    "on all others they are tested, on prompts held out. The difference between the columns `prior` and `no prior` is "
    "the prior alone. Intervals are over draws of people.",
    "verdict": "How often `keel train` finds something where there is nothing to find. Labels are dealt out by lot: "
    "better or worse is an error then. Each may come up in one run of twenty. Gains are nats per judgment.",
    "speed": "Measured in turns within one run.",
    "data": "`--data DIR` names the folder of a set below, or the folder above it; for polis and ukp the folder above. "
    "Files are CSV with a header, plain or gzip. Other columns are passed over.\n\n"
    "| suite | folder | files and columns | where the public set is |\n| --- | --- | --- | --- |\n"
    "| polis, polis-text | `polis/NAME` for each conversation | statements: id, text; votes: user, statement, vote (1, "
    "−1, 0) | github.com/compdemocracy/openData (CC BY 4.0) |\n"
    "| ukp | `ukpconvarg1` | arguments: id, prompt, text; judgments: user, a, b, choice | UKPConvArg1, Habernal and "
    "Gurevych, ACL 2016 (CC BY 4.0) |\n"
    "| llmfao | `llmfao` | pairs: pair_id, prompt, response_a, response_b; judgments: user, pair_id, choice (a, b, "
    "tie) | github.com/dustalov/llmfao (CC BY 4.0) |\n"
    "| captions | `caption_density` | preference: user, picture, response_a, response_b, choice | caption_density "
    "(MIT; captions COCO, CC BY 4.0) |\n"
    "| mtbench | `mtbench` | pairs: pair_id, question_id, turn (1, 2), prompt_1, prompt_2, response_a, response_b; "
    "judgments: user, pair_id, choice | huggingface.co/datasets/lmsys/mt_bench_human_judgments (CC BY 4.0) |\n"
    "| dices | `dices350` | items: item_id, prompt, response; judgments: user, item_id, unsafe (Yes, No, Unsure) | "
    "github.com/google-research-datasets/dices-dataset (CC BY 4.0) |\n\n"
    "In mtbench the prompt of a second turn is both questions, and the response is the second answer alone: the first "
    "answers differ between the sides. Both turns of a question are held out together. In dices a reply that is not "
    "unsafe is agreed with.",
}
"""Text for each suite."""


LAST = ("speed", "Data for --data")
"""Sections after those of suites and studies."""


def write(results: Path, page: Path, order: Sequence[str]) -> None:
    """Write the page with suites in ``order`` and, beside it in a folder of its name, a plot of each.

    What a page that is there says of other suites and studies stays. Raises InvalidInput without files.
    """
    found = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    suites = sorted((r for r in found.values() if "methods" in r), key=lambda r: _place(r["suite"], order))
    if not found:
        raise InvalidInput(f"no results in {results}; write them there with keel bench SUITE --out")
    plots = page.with_suffix("")
    for result in suites:
        draw([result], plots / f"{result['suite']}.svg")
    studies = [result for result in found.values() if "study" in result]
    rendered = render(suites, found.get("speed"), PROSE, plots.name, studies)
    page.write_text(merged(page.read_text(), rendered, order) if page.exists() else rendered)


def merged(old: str, new: str, order: Sequence[str]) -> str:
    """The ``new`` page with the ``old`` one's sections that it has not; the suites among them in ``order``."""
    sections = _sections(old) | _sections(new)
    places = {heading: place for place, heading in enumerate(["# Benchmarks", *order])}
    places |= {heading: len(places) + 1 + place for place, heading in enumerate(LAST)}
    return "\n\n".join(sections[name] for name in sorted(sections, key=lambda n: places.get(n, len(order) + 1))) + "\n"


def _sections(page: str) -> dict[str, str]:
    """The page's parts by heading, the first of which is the title's."""
    parts = [part.strip() for part in re.split(r"^(?=## )", page, flags=re.MULTILINE)]
    return {part.splitlines()[0].removeprefix("## "): part for part in parts}


def render(
    suites: Sequence[Mapping[str, Any]],
    speed: Mapping[str, Any] | None,
    prose: Mapping[str, str],
    plots: str,
    studies: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page; ``plots`` is the folder of the plots relative to it."""
    sections = ["# Benchmarks", prose["intro"]]
    for result in suites:
        sections += _suite(result, prose.get(result["suite"], ""), f"{plots}/{result['suite']}.svg")
    for name in dict.fromkeys(result["study"] for result in studies):
        sections += [f"## {name}", prose.get(name, "")]
        sections += [part for result in studies if result["study"] == name for part in _study(result)]
    if speed:
        rows = ([name.replace("_", " "), str(value)] for name, value in speed.items())
        sections += ["## speed", prose["speed"], _command("keel bench speed"), _table(["measured", "value"], rows)]
    if "data" in prose:
        sections += ["## Data for --data", prose["data"]]
    return "\n\n".join(section for section in sections if section) + "\n"


def _study(result: Mapping[str, Any]) -> list[str]:
    return [result["title"], _command(result["command"]), _table(result["columns"], result["rows"])]


def _suite(result: Mapping[str, Any], sentence: str, plot: str) -> list[str]:
    size = f"{result['people']} people, {many(result['seeds'], 'seed')}, {result['replicates']} bootstrap replicates."
    keel = result["methods"].get(KEEL, {})
    tenth = keel.get("worst_tenth_people")
    size += f" The worst tenth is of {tenth} people." if tenth else ""
    return [
        f"## {result['suite']}",
        f"{sentence} {size}".strip(),
        _command(result["command"]),
        f"![{result['suite']}: AUC by number of answers]({plot})",
        _methods(result),
        *_differences(result),
        *_fewer(result),
        *_harm(result),
        *_behind(result),
        *_checks(result),
        *_conversations(result),
    ]


def _methods(result: Mapping[str, Any]) -> str:
    headings = ["method", *(f"AUC at {k}" for k in STAGES), f"accuracy at {RATED}", f"NLL at {RATED}"]
    policy = [measure for measure in POLICY if any(m.get(measure) for m in result["methods"].values())]
    headings += [f"{POLICY[measure]} at {RATED}" for measure in policy]
    headings += ["answers to PReF's 20", "ms per question"]
    rows = []
    for name, method in result["methods"].items():
        few = method["subsample"]
        rows.append(
            [
                name if few is None else f"{name} ({few['people']} people, {many(few['seeds'], 'seed')})",
                *(_with_interval(method, "auc", k) for k in STAGES),
                number(method["accuracy"].get(RATED)),
                number(method["nll"].get(RATED)),
                *(_with_interval(method, measure, RATED) for measure in policy),
                number(result["answers_to_pref_20"].get(name), 1),
                number(method["ms_per_question"], 1),
            ]
        )
    return _table(headings, rows)


def _differences(result: Mapping[str, Any]) -> list[str]:
    if not result["differences"]:
        return []
    rows = ([name, *(estimate(by[k]) for k in STAGES if k in by)] for name, by in result["differences"].items())
    return ["Differences of AUC on the same people:", _table(["", *(f"at {k}" for k in STAGES)], rows)]


def _fewer(result: Mapping[str, Any]) -> list[str]:
    gains = result["methods"].get(KEEL, {}).get("gain", {})
    rows = [[f"{KEEL} at {k} - {KEEL} at 0", estimate(gains[k])] for k in STAGES if k in gains]
    rows += [[name, estimate(entry)] for name, entry in result["fewer_answers"].items()]
    return ["Differences of AUC between numbers of answers:", _table(["", "AUC"], rows)] if rows else []


def _harm(result: Mapping[str, Any]) -> list[str]:
    """Effect of answers on accuracy, log-likelihood and what people get."""
    by = result["differences"].get(f"{KEEL} - aggregate")
    if not by:
        return []
    stages = [k for k in SHOWN if k in by]
    names = {"accuracy": "accuracy (more is better)", "nll": "NLL (less is better)", **POLICY}
    known = [measure for measure in names if (by[stages[-1]].get(measure) or {"mean": None})["mean"] is not None]
    rows = [[names[measure], *(estimate(by[k][measure]) for k in stages)] for measure in known]
    return ["Keel minus the aggregate:", _table(["", *(f"at {k}" for k in stages)], rows)]


def _behind(result: Mapping[str, Any]) -> list[str]:
    """Comparisons that Keel loses, with their significance."""
    lines = []
    for name, by in result["differences"].items():
        for k in STAGES:
            entry = by.get(k)
            if entry and entry["mean"] is not None and entry["mean"] < 0:
                sure = "" if entry["ci"][1] < 0 else ", an interval that includes 0"
                lines.append(f"- to {name.split(' - ')[1]} at {k} answers: {estimate(entry)}{sure}")
    return ["Keel loses:", "\n".join(lines)] if lines else []


def _checks(result: Mapping[str, Any]) -> list[str]:
    parts = []
    if result["reversed_flips"] is not None:
        parts.append(
            f"Reversed answers reverse {100 * result['reversed_flips']:.0f} % of the confident predictions of "
            "the personal part."
        )
    if len(result["label_flips"]) > 1:
        rows = (
            [f"{100 * float(share):.0f} %", *(_with_interval(entry, "auc", k) for k in STAGES)]
            for share, entry in result["label_flips"].items()
        )
        parts += ["Keel when answers are flipped:", _table(["flipped", *(f"AUC at {k}" for k in STAGES)], rows)]
    return parts


def _conversations(result: Mapping[str, Any]) -> list[str]:
    """Keel in each of several conversations."""
    if len(result["worlds"]) < 2:
        return []
    rows = []
    for name, methods in result["worlds"].items():
        auc = methods.get(KEEL, {}).get("auc")
        if auc:
            rows.append([name, *(number(auc.get(k)) for k in STAGES)])
    return [_table(["Keel in", *(f"AUC at {k}" for k in STAGES)], rows)] if rows else []


def _with_interval(entry: Mapping[str, Any], measure: str, k: str) -> str:
    if entry[measure].get(k) is None:
        return "–"
    low, high = entry[f"{measure}_ci"][k]
    return f"{number(entry[measure][k])} [{number(low)}, {number(high)}]"


def _command(command: str) -> str:
    return f"```sh\n.venv/bin/{command} --json\n```"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---", *("---:" for _ in headings[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _place(suite: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(suite) if suite in order else len(order), suite)

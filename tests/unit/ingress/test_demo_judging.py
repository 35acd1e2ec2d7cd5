"""What of a prompt a demo model cannot draw is decided by the text alone."""

from __future__ import annotations

import random
import time

import pytest

from deployments.ingress.core.demo.judging import Judge, Unseen
from deployments.ingress.core.demo.vocabulary import Vocabulary
from tests.unit.ingress.demo_prompts import TUNED
from tests.unit.ingress.held_out_prompts import HELD_OUT

NOTHING = Unseen()


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(Vocabulary.bundled())


def is_right(found: Unseen, expected: str) -> bool:
    """Texts, logos, brands and unknown words may be told as either."""
    if expected == "nothing" or found.foreign or expected == "language":
        return (found == NOTHING, found.foreign) == (expected == "nothing", expected == "language")
    if expected in ("people", "animals"):
        return bool(getattr(found, expected))
    return bool(found.writing or found.others)


@pytest.mark.parametrize(
    ("prompts", "least"), [(TUNED, 0.98), (HELD_OUT, 0.96)], ids=["tuned", "held-out"]
)
def test_prompts_that_people_type_are_decided_rightly(judge, prompts, least):
    """The model card has the figures."""
    told = [(text, kind, judge.judge(text)) for kind, texts in prompts.items() for text in texts]
    wrong = [(text, kind, found) for text, kind, found in told if not is_right(found, kind)]
    share = 1 - len(wrong) / len(told)
    assert share >= least, "\n".join(map(str, wrong))
    drawn = len(prompts["nothing"])
    assert 0.4 < drawn / len(told) < 0.6
    # False alarms are the worse mistake: people stop reading what is often wrong.
    assert sum(kind == "nothing" for _, kind, _ in wrong) <= 0.05 * drawn


def test_the_list_is_long_enough_and_a_third_of_it_was_held_out():
    counts = [
        len({text for texts in part.values() for text in texts}) for part in (TUNED, HELD_OUT)
    ]
    assert sum(counts) >= 150
    assert counts[1] >= sum(counts) / 3
    assert set(HELD_OUT) == set(TUNED)


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("Add AI human", Unseen(people=("human",))),
        ("a woman with a dog, Nike logo", Unseen(("woman",), ("dog",), ("logo",), ("Nike",))),
        ("write SALE", Unseen(writing=("SALE",))),
        ("volcano that says OPEN", Unseen(writing=("OPEN",), others=("volcano",))),
        ('"a dog in a forest"', Unseen(animals=("dog",))),
        ('a wall with "NEW IN" on it', Unseen(writing=("NEW IN",))),
        ("the Eiffel tower behind it", Unseen(others=("Eiffel",))),
        ("spaceship on Mars, SPACESHIP", Unseen(others=("spaceship", "Mars", "SPACESHIP"))),
        ("add a vase", Unseen(others=("vase",))),
        ("on a steel background", Unseen(others=("steel",))),
        ("oranges on an orange wall", Unseen(others=("oranges",))),
        ("deux femmes sur une plage", Unseen(foreign=True)),
        ("木のテーブル", Unseen(foreign=True)),
        ("café terrace", Unseen(others=("café terrace",))),
    ],
)
def test_what_is_unseen_is_named_as_it_was_typed(judge, prompt, found):
    assert judge.judge(prompt) == found


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "?!",
        "forest, no people, text or logos",
        "remove the woman behind it",
        "keep the logo and the text as they are",
        "make sure the label stays readable",
        "beach with space for a headline on the left",
        "dog collar on a marble table",
        "men's black leather wallet on slate",
        "a toy for kids, yellow wall",
        "baby pink wall",
        "Nike sneaker on concrete",
        "my croissants on a wooden table",
        "a jar of honey on stone",
        "perfume \N{LEFT DOUBLE QUOTATION MARK}Nuit\N{RIGHT DOUBLE QUOTATION MARK} on black silk",
        "marbles, woods, snowing, sandstone, greenish walls",
        "marbel tabel, forrest, whtie wlal",
        "50mm f/1.8, 4K, #ff8800, --ar 4:5",
        "bird's eye view, portrait orientation, on the left-hand side",
        "the bottle should face left",
    ],
)
def test_nothing_is_said_of_what_asks_for_nothing_unseen(judge, prompt):
    assert judge.judge(prompt) == NOTHING


@pytest.mark.parametrize(
    "prompt",
    ["no people but a dog", "no text, a dog", "keep the cup, add my logo", "not white, cat"],
)
def test_a_denial_ends(judge, prompt):
    assert judge.judge(prompt) != NOTHING


@pytest.mark.parametrize("piece", ["ab" * 40, '"', "no ", "a vase ", "dog ", "\n", "é", None])
def test_the_longest_prompts_cost_little(judge, piece):
    """None stands for words that are all different, and none of them known."""
    chance = random.Random(0)  # noqa: S311 - to repeat it
    words = ("".join(chance.choices("bcdfgklmnprt", k=9)) for _ in range(2000))
    prompt = " ".join(words) if piece is None else (piece * 20_000)[:20_000]
    begun = time.process_time()
    judge.judge(prompt)
    assert time.process_time() - begun < 0.3

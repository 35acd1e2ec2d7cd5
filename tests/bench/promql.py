"""Enough of PromQL to draw a dashboard from scrapes; an error for what its expressions do not use.

Rates are the increase between the first and the last sample of the window, counter resets added,
over their distance; Prometheus also extrapolates to the window's edges, which is not done here. Of
`histogram_quantile` the interpolation is Prometheus' own.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]


@dataclass(frozen=True, slots=True)
class Scrape:
    """All samples of one moment.

    Attributes:
        at: Seconds on any clock.
        samples: Value by labels, by name.
    """

    at: float
    samples: Mapping[str, Mapping[Labels, float]]


def read(at: float, text: str) -> Scrape:
    """Read an exposition; series that stand in it twice are added up."""
    samples: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name][frozenset(sample.labels.items())] += sample.value
    return Scrape(at, samples)


def evaluate(expression: str, scrapes: Sequence[Scrape]) -> Vector:
    """The value of an expression at the last of some scrapes, which are in order of time."""
    return _vector(promql.parse(expression), scrapes)


def _vector(node: promql.Expr, scrapes: Sequence[Scrape]) -> Vector:
    match node:
        case promql.ParenExpr():
            return _vector(node.expr, scrapes)
        case promql.VectorSelector():
            return _selected(node, scrapes[-1])
        case promql.AggregateExpr() if str(node.op) == "sum":
            by = node.modifier.labels if node.modifier else []
            summed: Vector = defaultdict(float)
            for labels, value in _vector(node.expr, scrapes).items():
                summed[frozenset(pair for pair in labels if pair[0] in by)] += value
            return dict(summed)
        case promql.Call() if node.func.name == "rate":
            return _rate(node.args[0], scrapes)
        case promql.Call() if node.func.name == "histogram_quantile":
            return _quantiles(node.args[0].val, _vector(node.args[1], scrapes))
        case promql.BinaryExpr() if str(node.op) == "/":
            above, below = _vector(node.lhs, scrapes), _vector(node.rhs, scrapes)
            return {
                labels: above.get(labels, 0.0) / value if value else math.nan
                for labels, value in below.items()
            }
    raise NotImplementedError(f"{type(node).__name__}: {node}")


def _selected(selector: promql.VectorSelector, scrape: Scrape) -> Vector:
    return {
        labels: value
        for labels, value in scrape.samples.get(selector.name, {}).items()
        if all(_fits(matcher, dict(labels)) for matcher in selector.matchers.matchers)
    }


def _fits(matcher: promql.Matcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        found = value == matcher.value
    else:
        found = re.fullmatch(matcher.value, value) is not None
    return found == (matcher.op in (promql.MatchOp.Equal, promql.MatchOp.Re))


def _rate(matrix: promql.MatrixSelector, scrapes: Sequence[Scrape]) -> Vector:
    since = scrapes[-1].at - matrix.range.total_seconds()
    series: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for scrape in scrapes:
        if scrape.at >= since:
            for labels, value in _selected(matrix.vector_selector, scrape).items():
                series[labels].append((scrape.at, value))
    rates = {}
    for labels, points in series.items():
        values = [value for _, value in points]
        grown = sum(
            after - before if after >= before else after for before, after in pairwise(values)
        )
        if len(points) > 1:
            rates[labels] = grown / (points[-1][0] - points[0][0])
    return rates


def _quantiles(quantile: float, buckets: Vector) -> Vector:
    grouped: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in buckets.items():
        bound = float(dict(labels)["le"])
        grouped[frozenset(pair for pair in labels if pair[0] != "le")].append((bound, value))
    return {labels: _quantile(quantile, sorted(group)) for labels, group in grouped.items()}


def _quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    rank = quantile * buckets[-1][1]
    if not rank:
        return math.nan
    below = (0.0, 0.0)
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return below[0]
            share = (rank - below[1]) / (count - below[1])
            return below[0] + (bound - below[0]) * share
        below = (bound, count)
    return math.nan

"""Clicks that tests make themselves: numbers, values of many, lists with and without weights, a point in time,
and gaps in all of them."""

from __future__ import annotations

import csv
import math
import pathlib
import random

Row = dict[str, str]

LABEL = "click"
NUMBERS = ["price", "age"]
IDS = ["user", "item", "hour"]
LISTS = ["tags", "basket"]
MOMENT = "seen_at"
#: The columns that a model reads, each with a text in every row; an empty one is missing.
COLUMNS = [*NUMBERS, *IDS, *LISTS, MOMENT]

SCHEMA = """
label = {{ column = "click"{label} }}
dense = [{{ name = "price", transform = "log1p" }}, {{ name = "age", missing_indicator = true }}]
categorical = [
  {{ name = "user" }},
  {{ name = "item" }},
  {{ name = "hour" }},
  {{ name = "tags", multi = {{ separator = "|" }} }},
  {{ name = "basket", multi = {{ separator = "|", weight_separator = ":" }} }},
  {{ name = "weekday", time = {{ column = "seen_at", part = "weekday" }} }},
]
"""

#: Values that no training row has, and texts that are awkward in one format or another.
UNSEEN = ["u999999", "Zoë", "猫", "with space", 'say "hi"', "a,b", "back\\slash", "0", "-1", "null", "NaN"]


def draw(count: int, seed: int, unseen: float = 0.0) -> list[Row]:
    """Rows whose click depends on user, item, hour and tags; a share of them has an unseen user."""
    rng = random.Random(seed)
    effect = [random.Random(place).gauss(0, 1) for place in range(400)]
    rows = []
    for number in range(count):
        user, item, hour = rng.randrange(60), rng.randrange(30), rng.randrange(24)
        tags = rng.sample(range(20), rng.choice([0, 0, 1, 2, 3, 7]))
        basket = [(rng.randrange(30), round(rng.uniform(0.1, 3), 2)) for _ in range(rng.choice([0, 1, 4]))]
        z = effect[user] + effect[item] * effect[100 + hour] + sum(0.3 * effect[200 + tag] for tag in tags)
        name = f"u{user}" if rng.random() >= unseen else rng.choice(UNSEEN)
        rows.append(
            {
                "price": "" if rng.random() < 0.1 else f"{rng.expovariate(0.1):.2f}",
                "age": "" if rng.random() < 0.2 else str(rng.randrange(18, 80)),
                "user": "" if rng.random() < 0.05 else name,
                "item": str(1000 + item),
                "hour": str(hour),
                "tags": "|".join(f"t{tag}" for tag in tags),
                "basket": "|".join(f"b{place}:{weight}" for place, weight in basket),
                "seen_at": str(1_700_000_000 + 1800 * number),
                LABEL: str(int(rng.random() < 1 / (1 + math.exp(-z)))),
            }
        )
    return rows


def write(path: pathlib.Path, rows: list[Row]) -> pathlib.Path:
    """The rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, [*COLUMNS, LABEL])
        out.writeheader()
        out.writerows(rows)
    return path


def typed(row: Row) -> dict[str, object]:
    """The row as a program has it: numbers as numbers, lists as lists, gaps as null."""
    values: dict[str, object] = {}
    for name in COLUMNS:
        text = row[name]
        if name in LISTS:
            values[name] = text.split("|") if text else []
        elif not text:
            values[name] = None
        elif name == "user":
            values[name] = text
        else:
            values[name] = float(text) if "." in text else int(text)
    return values

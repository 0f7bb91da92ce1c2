#!/usr/bin/env python3
"""Writes reference.json next to this file: rows in Criteo's format and what the reference implementation's preprocessing
makes of them.

    python crates/data/tests/make_reference_goldens.py

An independent, plain account of facebookresearch/dlrm's data_utils.py, of the parts that decide ids and numbers: an empty field
is 0; a categorical value is int(text, 16), modulo max_ind_range if that is given; each column has a dictionary of all rows,
whose ids count in the order of first occurrence; a negative integer is 0, and the input is log(x + 1). The rows are made up.
"""

import json
import math
import os
import random

DENSE, CATEGORICAL, ROWS = 13, 26, 40


def rows(rng):
    for _ in range(ROWS):
        dense = [rng.choice(["", "0", "1", "-1", "-3", str(rng.randrange(5000))]) for _ in range(DENSE)]
        values = []
        for column in range(CATEGORICAL):
            value = rng.randrange(2 ** (3 + column % 8)) * 0x01F3A5C7 % 2**32
            values.append(rng.choice(["", "00000000", f"{value:08x}", f"{value:08x}", f"{value:08x}", f"{value:x}"]))
        yield [str(rng.randrange(2))] + dense + values


def encode(table, max_ind_range):
    dictionaries = [{} for _ in range(CATEGORICAL)]
    dense, ids = [], []
    for row in table:
        fields = [field or "0" for field in row]
        dense.append([math.log(max(int(x), 0) + 1) for x in fields[1 : 1 + DENSE]])
        values = [int(x, 16) for x in fields[1 + DENSE :]]
        if max_ind_range > 0:
            values = [value % max_ind_range for value in values]
        ids.append([d.setdefault(value, len(d)) for d, value in zip(dictionaries, values)])
    return {"max_ind_range": max_ind_range, "counts": [len(d) for d in dictionaries], "dense": dense, "ids": ids}


table = list(rows(random.Random(1)))
golden = {"rows": ["\t".join(row) for row in table], "encoded": [encode(table, range_) for range_ in (0, 11, 40_000_000)]}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference.json")
with open(path, "w") as file:
    json.dump(golden, file, separators=(",", ":"))
    file.write("\n")

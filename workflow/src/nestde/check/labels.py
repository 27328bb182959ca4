"""What names and values look like: a word for "missing", a number in disguise, the same label twice, an id, a measurement."""

import re
import unicodedata
from collections.abc import Iterable

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# 12,5 and 1.200,5; 1,200 and 1'200; 12 % and 65 years; >89 and 90+
COMMA = r"[+-]?\d{1,3}(?:[.' ]?\d{3})*,\d+|[+-]?\d{1,3}(?:[,' ]\d{3})+(?:\.\d+)?"
UNITS = (
    r"%|°c|c|y|yo|yrs?|years?(?: old)?|mo|months?|m|w|wks?|weeks?|d|days?|h|hrs?|hours?|min|s|sec|kg|g|mg|µg|ug|ng|pg|ml|µl|ul|l|"
    r"mm|cm|um|µm|nm|µm|m|um|reads|cells|counts|k"
)
DRESSED = rf"(?:[<>≤≥~≈]=?\s*)?(?:{NUMBER}|{COMMA})\s*(?:\+|{UNITS})?"

MISSING = frozenset(
    [
        "na",
        "n/a",
        "n.a.",
        "n.a",
        "#n/a",
        "#na",
        "<na>",
        "nan",
        "#nan",
        "none",
        "null",
        "#null!",
        "nil",
        "missing",
        "unknown",
        "unk",
        "unkn",
        "undefined",
        "undetermined",
        "undet",
        "unspecified",
        "-",
        "--",
        "---",
        "–",
        "—",
        ".",
        "..",
        "...",
        "?",
        "??",
        "???",
        "#value!",
        "#ref!",
        "#div/0!",
        "#name?",
        "#num!",
        "tbd",
        "n/k",
        "nat",
    ]
) | {
    "not available",
    "not applicable",
    "not recorded",
    "not known",
    "not determined",
    "not reported",
    "no data",
}

# Letters of other alphabets that are drawn as Latin ones.
_ALIKE = str.maketrans("АВЕКМНОРСТУХаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTYXaeopcyxijsABEZHIKMNOPTYXo")

# Words of names. Whatever measures says so in the name, also of a donor: donor_age.
_DONOR = frozenset(
    [
        "donor",
        "donors",
        "donorid",
        "individual",
        "individuals",
        "individualid",
        "indiv",
        "patient",
        "patients",
        "patientid",
        "subject",
        "subjects",
        "subjectid",
        "subj",
        "subjid",
        "participant",
        "participants",
        "participantid",
        "person",
        "personid",
        "animal",
        "animals",
        "animalid",
        "mouse",
        "mice",
        "mouseid",
        "rat",
        "rats",
        "projid",
        "pid",
    ]
)
_ID = _DONOR | {"id", "ids", "identifier", "sample", "samples", "barcode"}
_LABEL = frozenset(
    [
        "code",
        "case",
        "batch",
        "batches",
        "plate",
        "plates",
        "run",
        "runs",
        "lane",
        "lanes",
        "pool",
        "pools",
        "library",
        "libraries",
        "lib",
        "chip",
        "chips",
        "slide",
        "slides",
        "section",
        "array",
        "flowcell",
        "cohort",
        "site",
        "sites",
        "center",
        "centre",
        "cage",
        "litter",
        "family",
        "pair",
        "block",
        "well",
        "channel",
        "replicate",
        "rep",
        "cluster",
        "clusters",
        "leiden",
        "louvain",
        "kit",
        "operator",
        "instrument",
        "machine",
        "sequencer",
    ]
)
_MEASURE = frozenset(
    [
        "age",
        "ages",
        "weeks",
        "week",
        "days",
        "day",
        "months",
        "month",
        "years",
        "year",
        "hours",
        "hour",
        "minutes",
        "min",
        "time",
        "date",
        "pmi",
        "pmd",
        "rin",
        "count",
        "counts",
        "ncount",
        "umi",
        "umis",
        "reads",
        "genes",
        "nfeature",
        "features",
        "depth",
        "saturation",
        "score",
        "index",
        "dose",
        "conc",
        "concentration",
        "size",
        "number",
        "n",
        "pct",
        "percent",
        "percentage",
        "fraction",
        "share",
        "ratio",
        "rate",
        "weight",
        "height",
        "bmi",
        "mass",
        "length",
        "volume",
        "ph",
        "temperature",
        "temp",
        "stage",
        "grade",
        "braak",
        "cerad",
        "mmse",
        "moca",
        "cdr",
        "education",
        "passage",
        "yield",
        "viability",
        "quality",
        "qc",
        "mt",
        "mito",
        "ribo",
        "total",
        "mean",
        "median",
        "intensity",
        "level",
        "rank",
        "order",
        "sex",
        "gender",
        "duration",
        "interval",
    ]
)


def is_missing(label: str) -> bool:
    """Whether a label reads like a missing value: ``N/A``, ``None``, ``unknown``, ``-``."""
    return " ".join(label.casefold().split()) in MISSING


def missing_words(labels: Iterable[str]) -> list[str]:
    """Those of the labels of a factor that read like a missing value.

    Not ``-`` beside ``+``, and not ``none`` beside one other label, as in a treatment of none or drug.
    """
    every = list(labels)
    found = [label for label in every if is_missing(label)]
    if any(label.strip() in ("+", "++") for label in every):
        found = [label for label in found if label.strip() not in ("-", "--")]
    if len(every) == 2:
        found = [label for label in found if label.casefold() not in ("none", "nil", "-")]
    return found


def is_number(label: str) -> bool:
    """Whether a label is a number as any program reads it."""
    return re.fullmatch(NUMBER, label.strip(), re.ASCII) is not None


def is_comma_number(label: str) -> bool:
    """Whether a label is a number with a comma for a point, or with marks between thousands."""
    return re.fullmatch(COMMA, " ".join(label.split()), re.ASCII) is not None


def is_dressed_number(label: str) -> bool:
    """Whether a label is a number with a unit or a bound: ``65 years``, ``12 %``, ``90+``."""
    return re.fullmatch(DRESSED, " ".join(label.casefold().split())) is not None


def folded(label: str) -> str:
    """What labels that look alike have in common: no case, no blanks, no invisible characters, one alphabet."""
    plain = unicodedata.normalize("NFKC", label).translate(_ALIKE).casefold()
    return "".join(char for char in plain if not char.isspace() and unicodedata.category(char) != "Cf")


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that look alike."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(folded(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def _words(name: str) -> set[str]:
    """``donorId2`` -> donor, id, 2; ``projid`` -> projid."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[^\W\d_]+", spaced.casefold()))


def measures(name: str) -> bool:
    """Whether a column is named like a quantity: ``age``, ``donor_age``, ``n_cells_of_pool``."""
    return bool(_words(name) & _MEASURE)


def names_donors(name: str) -> bool:
    """Whether a column is named like one of donors: ``donor_id``, ``projid``, ``Subject``."""
    return bool(_words(name) & _DONOR) and not measures(name)


def names_ids(name: str) -> bool:
    """Whether a column is named like one of ids, those of donors among them: ``patientID``, ``run_id``."""
    return bool(_words(name) & _ID) and not measures(name)


def names_labels(name: str) -> bool:
    """Whether a column is named like one of labels that samples share: ``batch``, ``plate_2``."""
    return bool(_words(name) & _LABEL) and not measures(name)

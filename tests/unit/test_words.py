"""Numbers and their nouns agree in every sentence."""

import pytest

from nestde.words import are, count, several, verb


@pytest.mark.parametrize(
    ("number", "noun", "counted", "stated"),
    [
        (0, "cell", "0 cells", "0 cells are"),
        (1, "cell", "1 cell", "1 cell is"),
        (1200, "gene name", "1,200 gene names", "1,200 gene names are"),
        (2, "diagnosis", "2 diagnoses", "2 diagnoses are"),
        (2, "batch", "2 batches", "2 batches are"),
        (2, "assay", "2 assays", "2 assays are"),
        (2, "study", "2 studies", "2 studies are"),
    ],
)
def test_numbers_and_nouns_agree(number, noun, counted, stated):
    assert (count(number, noun), are(number, noun)) == (counted, stated)


@pytest.mark.parametrize(
    ("word", "of_one"), [("have", "has"), ("are", "is"), ("occur", "occurs"), ("share", "shares")]
)
def test_verbs_agree(word, of_one):
    assert verb(1, word) == of_one
    assert verb(0, word) == verb(2, word) == word


@pytest.mark.parametrize(
    ("word", "of_several"),
    [
        ("cells", "cells"),
        ("batches", "batches"),
        ("class", "classes"),
        ("status", "statuses"),
        ("basis", "bases"),
        ("box", "boxes"),
    ],
)
def test_the_plural_of_a_column_named_in_the_plural_is_itself(word, of_several):
    assert several(word) == of_several

"""t and F tests of the REML fit, by three ways to count its degrees of freedom."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nestde.fit.methods.method import Method, Tested

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.fit.leaf_sums import LinearFitted


def _by(way: str) -> Callable[["LinearFitted", Sequence["Contrast"]], list[Tested]]:
    def test(fitted: "LinearFitted", contrasts: Sequence["Contrast"]) -> list[Tested]:
        found = []
        for each in fitted.f_tests(contrasts):
            tests = getattr(each, way)
            columns = {f"df_{way}": tests.df_residual}
            if way == "satterthwaite":
                columns["df_method"] = tests.method
            found.append(Tested(tests.log_p, columns))
        return found

    return test


def _method(name: str, label: str, sentence: str, told: str) -> Method:
    return Method(
        name=name,
        label=label,
        sentence=sentence,
        model_sentence=f"The model is fitted by REML and {{term}} is tested by {told}.",
        engines=("linear",),
        estimates="REML",
        every_gene=False,
        levels=True,
        dear=True,
        test=_by(name),
    )


SATTERTHWAITE = _method(
    "satterthwaite",
    "Satterthwaite",
    "t or F test with Satterthwaite's degrees of freedom (Kuznetsova, Brockhoff, Christensen 2017)",
    "an F test with Satterthwaite's degrees of freedom",
)
KENWARD_ROGER = _method(
    "kenward_roger",
    "Kenward–Roger",
    "F test with Kenward and Roger's (1997) adjusted covariance and degrees of freedom",
    "Kenward and Roger's F test",
)
CONTAINMENT = _method(
    "containment",
    "containment",
    "t or F test with the degrees of freedom that nlme uses: groups less the coefficients that vary between them",
    "an F test whose degrees of freedom count samples, not cells (containment)",
)

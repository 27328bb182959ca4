"""The log-likelihood of one gene by Laplace's approximation over all its random effects, and the exact gradient.

The random effects of a component are b = Λu, u ~ N(0, I). With G the log-likelihood of its cells given b, g and −W the first
two derivatives of G by b, and Σ = ΛΛ', the component's part of the marginal log-likelihood is, at the mode û,

    ℓ = G − û'û/2 − ½ log|H|        H = I + Λ'WΛ        û = Λ'g

Of M = ΛH⁻¹Λ', the covariance of b given the counts, and τ_s = Σ_jk (R M R')_jk ∂W_jk/∂u_s, summed to q = Σ R'τ_s, all that moves
with a parameter follows, the modes included (db = (I − MW) dΣ g, and −M R'W F dφ):

    ∂ℓ/∂φ = Σ F'(g_s − ½τ_s + ½ W_s R M q)
    ∂ℓ/∂Σ = ½gg' − ½(W − WMW) − ¼(rg' + gr')        r = (I − WM) q        ∂ℓ/∂Λ = 2 (∂ℓ/∂Σ) Λ
    ∂ℓ/∂κ = Σ ∂G/∂κ − ½ tr(M ∂W/∂κ) − ½ q'M ∂g/∂κ

Nothing is divided by Σ, so that all of it is finite where a variance is 0.

One kernel holds all that needs the model as a whole: each call that hands on some fifty arrays takes seconds to compile.
"""

import math

import numpy as np

from nestde.arrays import Floats, Integers
from nestde.fit.compiled import compiled
from nestde.fit.counts.cells import ORDERS, Cells, buffer_of, sum_up, sum_up_to_two
from nestde.fit.counts.general.strata import Strata
from nestde.fit.counts.laplace import NEGATIVE_BINOMIAL, POISSON, Gene
from nestde.fit.dense import cholesky, inverse

# A step towards a mode that is below this share of its posterior SD is the last; the most there are.
_NEARLY, _MOST = 3e-5, 100
# The longest step of a linear predictor towards a mode.
_LONGEST = 1.5


@compiled()
def fill_lambda(theta: Floats, element: Integers, shift: Integers, lam: Floats) -> None:
    """Fill Λ of all factors, (K, K), from the thetas."""
    for f in range(len(element)):
        for i in range(element.shape[1]):
            for j in range(i + 1):
                if element[f, i, j] >= 0:
                    lam[shift[f] + i, shift[f] + j] = theta[element[f, i, j]]


@compiled()
def evaluate_general(
    model: Strata,
    family: int,
    cells: Cells,
    gene: Gene,
    parameters: Floats,
    kappa: float,
    modes: Floats,
    gradient: Floats,
) -> float:
    """Log-likelihood; fills `gradient`, (r + 1 + T,) by φ, κ (0 but for NB) and the thetas, and moves the modes, (E,) û.

    `parameters` are φ, one that is not looked at, and the thetas; `family` is one of `laplace`.
    """
    fixed, effect, place, pair = model.fixed, model.effect, model.place, model.pair
    slot, lead = model.slot, model.lead
    within, k, r = len(pair), place.shape[1], fixed.shape[2]
    strata, width, rows = len(fixed), cells.products.shape[0], pair[within - 1, within - 1] + 1
    nb, exponential = family == NEGATIVE_BINOMIAL, family == POISSON
    lam, sigma = np.zeros((k, k)), np.zeros((k, k))
    fill_lambda(parameters[r + 1 :], model.element, model.shift, lam)
    # of each stratum: its predictor by φ, ∂G, −∂²G, sums of P₃, and by κ
    base, score = np.zeros((strata, within)), np.zeros((strata, within))
    bend, third = np.zeros((strata, within, within)), np.zeros((strata, width))
    mixed, mixed_bend = np.zeros((strata, within)), np.zeros((strata, within, within))
    a, t, buffer, local = np.zeros((ORDERS, width)), np.zeros((ORDERS, width)), buffer_of(), np.zeros(within)
    v, tau = np.zeros((within, within)), np.zeros(within)
    theta, share = 1.0, 0.0
    value, slope = gene.constant, 0.0
    if nb:
        theta, share = math.exp(kappa), 1.0
        for i in range(1, len(gene.above)):
            value += gene.above[i] * math.log1p(i / theta)
            slope -= gene.above[i] * i / (theta + i)
    for i in range(len(gradient)):
        gradient[i] = 0.0
    for s in range(strata):
        for j in range(within):
            for i in range(r):
                base[s, j] += fixed[s, j, i] * parameters[i]
    for c in range(len(model.first) - 1):
        first, size = model.first[c], model.first[c + 1] - model.first[c]
        u = modes[first : first + size]
        b, g, step, rest = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
        w, h, m, half = (
            np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size)),
        )  # fmt: skip
        last, logdet, of_cells = False, 0.0, 0.0
        for attempt in range(_MOST):
            of_cells = 0.0
            spread_modes(first, lam, slot, lead, u, b)
            for i in range(size):
                g[i] = 0.0
                for j in range(size):
                    w[i, j] = 0.0
            for s in range(model.strata[c], model.strata[c + 1]):
                for j in range(within):
                    local[j] = base[s, j]
                    for e in range(k):
                        local[j] += effect[s, j, e] * b[place[s, e] - first]
                if last:
                    sum_up(s, cells, local[0] - kappa, local[1:], exponential, buffer, t)
                    if nb:
                        sum_up(s, gene.cells, local[0] - kappa, local[1:], False, buffer, a)
                    of_cells += _whole(
                        theta, share, local, gene.total[s], pair, t, a,
                        score[s], bend[s], third[s], mixed[s], mixed_bend[s],
                    )  # fmt: skip
                    if nb:
                        slope += a[1, 0] + theta * (t[1, 0] - t[0, 0])
                else:
                    sum_up_to_two(s, cells, local[0] - kappa, local[1:], exponential, rows, buffer, t)
                    if nb:
                        sum_up_to_two(s, gene.cells, local[0] - kappa, local[1:], False, rows, buffer, a)
                    for j in range(within):
                        score[s, j] = gene.total[s, j] - theta * t[1, j] - share * a[1, j]
                        for i in range(within):
                            bend[s, j, i] = theta * t[2, pair[j, i]] + share * a[2, pair[j, i]]
                collect(effect[s], place[s], first, score[s], bend[s], g, w)
            logdet = penalised(first, lam, slot, model.tail, w, g, u, half, h, rest)
            if last:
                break
            for i in range(size):
                step[i] = rest[i]
            _solve(h, size, step)
            spread_modes(first, lam, slot, lead, step, b)
            length = 1.0
            for s in range(model.strata[c], model.strata[c + 1]):
                far = 0.0
                for j in range(within):
                    move = 0.0
                    for e in range(k):
                        move += effect[s, j, e] * b[place[s, e] - first]
                    far += abs(move) * (model.reach[j - 1] if j > 0 else 1.0)
                length = min(length, _LONGEST / max(far, 1e-300))
            promise = 0.0
            for i in range(size):
                u[i] += length * step[i]
                promise += rest[i] * step[i]
            last = promise < _NEARLY * _NEARLY or attempt == _MOST - 2
        value += of_cells - 0.5 * logdet
        for i in range(size):
            value -= 0.5 * u[i] * u[i]
        # what moves with a parameter: `q` and `d` are sums of R'τ and R'∂²G/∂u∂κ
        _covariance_of_modes(first, size, lam, slot, lead, h, half, m)
        q, d = np.zeros(size), np.zeros(size)
        for s in range(model.strata[c], model.strata[c + 1]):
            _covariance(effect[s], place[s], first, m, v)
            _turn(v, third[s], model.triple, tau)
            for j in range(within):
                for i in range(within):
                    slope -= 0.5 * v[j, i] * mixed_bend[s, j, i]
                for i in range(r):
                    gradient[i] += fixed[s, j, i] * (score[s, j] - 0.5 * tau[j])
                for e in range(k):
                    q[place[s, e] - first] += effect[s, j, e] * tau[j]
                    d[place[s, e] - first] += effect[s, j, e] * mixed[s, j]
        moved = np.zeros(size)  # Mq
        for i in range(size):
            for j in range(size):
                moved[i] += m[i, j] * q[j]
            slope -= 0.5 * d[i] * moved[i]
        for s in range(model.strata[c], model.strata[c + 1]):
            for j in range(within):
                local[j] = 0.0
                for e in range(k):
                    local[j] += effect[s, j, e] * moved[place[s, e] - first]
            for j in range(within):
                for i in range(within):
                    for n in range(r):
                        gradient[n] += 0.5 * fixed[s, j, n] * bend[s, j, i] * local[i]
        _variance_slopes(first, slot, lead, w, m, g, q, moved, half, rest, sigma)
    gradient[r] = slope if nb else 0.0
    _theta_slopes(sigma, lam, model.element, model.shift, gradient[r + 1 :])
    return float(value)


@compiled()
def _whole(
    theta: float,
    share: float,
    local: Floats,
    total: Floats,
    pair: Integers,
    t: Floats,
    a: Floats,
    score: Floats,
    bend: Floats,
    third: Floats,
    mixed: Floats,
    mixed_bend: Floats,
) -> float:
    """G of a stratum; fills its derivatives from the sums over all cells, which count θ times, and those with a count."""
    value = -theta * t[0, 0] - share * a[0, 0]
    for j in range(len(pair)):
        value += local[j] * total[j]
        score[j] = total[j] - theta * t[1, j] - share * a[1, j]
        mixed[j] = share * (a[2, j] + theta * (t[2, j] - t[1, j]))
        for i in range(len(pair)):
            at = pair[j, i]
            bend[j, i] = theta * t[2, at] + share * a[2, at]
            mixed_bend[j, i] = share * (theta * (t[2, at] - t[3, at]) - a[3, at])
    for j in range(len(third)):
        third[j] = theta * t[3, j] + share * a[3, j]
    return float(value)


@compiled()
def collect(
    effect: Floats, place: Integers, first: int, score: Floats, bend: Floats, g: Floats, w: Floats
) -> None:
    """Add R'∂G and R'WR of a stratum."""
    within, k = effect.shape
    for e in range(k):
        at = place[e] - first
        for j in range(within):
            g[at] += effect[j, e] * score[j]
            bent = 0.0
            for i in range(within):
                bent += bend[j, i] * effect[i, e]
            for d in range(k):
                w[place[d] - first, at] += effect[j, d] * bent


@compiled()
def spread_modes(first: int, lam: Floats, slot: Integers, lead: Integers, u: Floats, out: Floats) -> None:
    """Fill Λu of a component, as long as u."""
    for i in range(len(u)):
        total = 0.0
        for j in range(lead[first + i] - first, i + 1):
            total += lam[slot[first + i], slot[first + j]] * u[j]
        out[i] = total


@compiled()
def penalised(
    first: int,
    lam: Floats,
    slot: Integers,
    tail: Integers,
    w: Floats,
    g: Floats,
    u: Floats,
    half: Floats,
    h: Floats,
    slope: Floats,
) -> float:
    """Factorise H, of which log|H| is returned; fills the slope Λ'g − u."""
    size = len(u)
    for j in range(size):
        end = tail[first + j] - first
        slope[j] = -u[j]
        for m in range(j, end):
            slope[j] += lam[slot[first + m], slot[first + j]] * g[m]
        for i in range(size):
            total = 0.0
            for m in range(j, end):
                total += w[i, m] * lam[slot[first + m], slot[first + j]]
            half[i, j] = total
    for i in range(size):
        end = tail[first + i] - first
        for j in range(i + 1):
            total = 1.0 if i == j else 0.0
            for m in range(i, end):
                total += lam[slot[first + m], slot[first + i]] * half[m, j]
            h[i, j] = total
    return cholesky(h, size)


@compiled()
def _solve(lower: Floats, size: int, x: Floats) -> None:
    """Replace x by (LL')⁻¹x."""
    for i in range(size):
        total = x[i]
        for j in range(i):
            total -= lower[i, j] * x[j]
        x[i] = total / lower[i, i]
    for i in range(size - 1, -1, -1):
        total = x[i]
        for j in range(i + 1, size):
            total -= lower[j, i] * x[j]
        x[i] = total / lower[i, i]


@compiled()
def _covariance_of_modes(
    first: int,
    size: int,
    lam: Floats,
    slot: Integers,
    lead: Integers,
    lower: Floats,
    half: Floats,
    m: Floats,
) -> None:
    """Fill M = ΛH⁻¹Λ' from H's Cholesky factor."""
    inverse(lower, size, m)
    for i in range(size):
        for j in range(size):
            total = 0.0
            for k in range(lead[first + i] - first, i + 1):
                total += lam[slot[first + i], slot[first + k]] * m[k, j]
            half[i, j] = total
    for i in range(size):
        for j in range(size):
            total = 0.0
            for k in range(lead[first + j] - first, j + 1):
                total += half[i, k] * lam[slot[first + j], slot[first + k]]
            m[i, j] = total


@compiled()
def _covariance(effect: Floats, place: Integers, first: int, m: Floats, v: Floats) -> None:
    """Fill RMR' of a stratum, (1 + c, 1 + c)."""
    within, k = effect.shape
    for i in range(within):
        for j in range(within):
            v[i, j] = 0.0
    for e in range(k):
        for d in range(k):
            common = m[place[e] - first, place[d] - first]
            for i in range(within):
                for j in range(within):
                    v[i, j] += effect[i, e] * common * effect[j, d]


@compiled()
def _turn(v: Floats, third: Floats, triple: Integers, tau: Floats) -> None:
    """Fill τ of a stratum."""
    for j in range(len(tau)):
        tau[j] = 0.0
        for m in range(len(tau)):
            for n in range(len(tau)):
                tau[j] += v[m, n] * third[triple[m, n, j]]


@compiled()
def _variance_slopes(
    first: int,
    slot: Integers,
    lead: Integers,
    w: Floats,
    m: Floats,
    g: Floats,
    q: Floats,
    moved: Floats,
    half: Floats,
    rest: Floats,
    sigma: Floats,
) -> None:
    """Add a component's ∂ℓ/∂Σ; `moved` is Mq."""
    size = len(g)
    for i in range(size):
        rest[i] = q[i]
        for j in range(size):
            rest[i] -= w[i, j] * moved[j]
    # WM
    for i in range(size):
        for j in range(size):
            total = 0.0
            for n in range(size):
                total += w[i, n] * m[n, j]
            half[i, j] = total
    for i in range(size):
        for j in range(lead[first + i] - first, i + 1):
            bent = w[i, j]
            for n in range(size):
                bent -= half[i, n] * w[n, j]
            found = 0.5 * g[i] * g[j] - 0.5 * bent - 0.25 * (rest[i] * g[j] + rest[j] * g[i])
            row, column = slot[first + i], slot[first + j]
            sigma[row, column] += found
            if row != column:
                sigma[column, row] += found


@compiled()
def _theta_slopes(sigma: Floats, lam: Floats, element: Integers, shift: Integers, out: Floats) -> None:
    """Add 2 (∂ℓ/∂Σ) Λ to the slopes by the thetas."""
    size = element.shape[1]
    for f in range(len(element)):
        for i in range(size):
            for j in range(i + 1):
                if element[f, i, j] < 0:
                    continue
                for n in range(size):
                    if element[f, n, n] >= 0:
                        row, column = shift[f] + i, shift[f] + n
                        out[element[f, i, j]] += 2.0 * sigma[row, column] * lam[column, shift[f] + j]

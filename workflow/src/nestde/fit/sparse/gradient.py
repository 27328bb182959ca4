"""Kernels: the gradient of the profiled deviance by θ, the coefficients and the conditional modes, from `Sparse`.

Back from the last node to the first go the spherical modes u and the conditional covariance C of the effects (for REML
jointly with the coefficients), of which only the places of L are ever needed (Takahashi's selected inverse):

    U = L⁻ᵀ    D = UB'    E = D C_below    C_below,own = −E'    C_own = UU' + ED'    u = U(B_y' − B'[u, β]_below)
    d deviance / dΛ = 2 Σ ([Z̃'Z̃Λ, Z̃'Q] C)_own − (2n/r²) Σ w u'        w = Z̃'(y − Z̃Λu − Qβ)

Nothing is divided by Λ, so all holds where variances are zero.

    symbol    array
    U, D, E   Work.upper, Work.across, Work.explained
    C         Work.covariance; of the effects of a node's rows Work.joint
    u, w      Work.u, Work.w
"""

from nestde.arrays import Floats
from nestde.fit.compiled import compiled
from nestde.fit.gradient import coefficients_of
from nestde.fit.sparse.deviance import Work, place
from nestde.fit.sparse.layout import Sparse
from nestde.fit.sparse.products import Rows, add_products, dot, invert, shifted, square


@compiled()
def coefficients(blocks: Sparse, work: Work, beta: Floats, covariance: Floats) -> None:
    """Fill β and (Q'V₀⁻¹Q)⁻¹ after `deviance`."""
    coefficients_of(work.last, beta, covariance)


@compiled()
def gradient(
    blocks: Sparse,
    r2: float,
    freedom: float,
    reml: bool,
    work: Work,
    beta: Floats,
    covariance: Floats,
    out: Floats,
) -> None:
    """Fill `out`, (T,), with the gradient of the deviance by θ after `deviance` at the same θ; β and the modes too."""
    coefficients_of(work.last, beta, covariance)
    for node in range(len(blocks.k) - 1, -1, -1):
        _invert(blocks, work, node)
        _modes(blocks, work, node, beta)
        _joint(blocks, work, node, covariance, reml)
        _covariance(blocks, work, node)
    _residual(blocks, work, beta)
    _collect(blocks, work, freedom / r2, reml)
    for t in range(len(out)):
        out[t] = 2.0 * work.g[blocks.place[t, 0], blocks.place[t, 1], blocks.place[t, 2]]


@compiled()
def _invert(blocks: Sparse, work: Work, node: int) -> None:
    """U of each member of a node, and D."""
    k, members = blocks.k[node], blocks.members[node]
    rows, wide = blocks.row_at[node + 1] - blocks.row_at[node] + blocks.zq.shape[1], members * k
    panel = Rows(work.factor, blocks.panel_at[node], wide)
    for i in range(wide * rows):
        work.across[i] = 0.0
    for member in range(members):
        upper = Rows(work.upper, member * k * k, k)
        invert(Rows(work.factor, blocks.square_at[node] + member * k * k, k), k, upper)
        across = Rows(work.across, member * k * rows, rows)
        add_products(upper, k, shifted(panel, 0, member * k), rows, 0, k, 1.0, False, across)


@compiled()
def _modes(blocks: Sparse, work: Work, node: int, beta: Floats) -> None:
    """Spherical modes of a node's effects."""
    k, members, p = blocks.k[node], blocks.members[node], len(beta)
    first, wide = blocks.row_at[node], members * k
    rows, effect = blocks.row_at[node + 1] - first, blocks.effect_at[node]
    # Σ U (B_y' − B' below) = U B_y' − D below
    y_row = Rows(work.factor, blocks.panel_at[node] + (rows + p) * wide, wide)
    for own in range(wide):
        member, at = own // k, own * (rows + p)
        total = dot(Rows(work.upper, own * k, k), 0, shifted(y_row, 0, member * k), 0, own - member * k, k)
        for i in range(rows):
            total -= work.across[at + i] * work.u[blocks.row[first + i]]
        for j in range(p):
            total -= work.across[at + rows + j] * beta[j]
        work.u[effect + own] = total


@compiled()
def _joint(blocks: Sparse, work: Work, node: int, covariance: Floats, reml: bool) -> None:
    """C of the effects and coefficients in a node's rows; of ML nothing for the coefficients."""
    p, begin = len(covariance), blocks.row_at[node]
    rows = blocks.row_at[node + 1] - begin
    size, joint, c = rows + p, work.joint, work.covariance
    for which in range(blocks.out_at[node], blocks.out_at[node + 1]):
        later, link = blocks.out[which]
        _, first, own, relative = blocks.link[link]
        effect, wide = blocks.effect_at[later], blocks.members[later] * blocks.k[later]
        below = blocks.row_at[later + 1] - blocks.row_at[later]
        for j in range(first, first + own):
            column = blocks.row[begin + j] - effect
            for i in range(j, first + own):
                value = c[place(blocks, later, column, blocks.row[begin + i] - effect)]
                joint[i * size + j] = joint[j * size + i] = value
        for i in range(first + own, size):
            at = blocks.relative[relative + i - first - own] if i < rows else below + i - rows
            here = blocks.panel_at[later] + at * wide - effect
            for j in range(first, first + own):
                value = c[here + blocks.row[begin + j]]
                joint[i * size + j] = joint[j * size + i] = value
    for i in range(p):
        for j in range(p):
            joint[(rows + i) * size + rows + j] = covariance[i, j] if reml else 0.0


@compiled()
def _covariance(blocks: Sparse, work: Work, node: int) -> None:
    """C of a node's own effects, and with those of its rows."""
    k, members = blocks.k[node], blocks.members[node]
    rows, wide = blocks.row_at[node + 1] - blocks.row_at[node] + blocks.zq.shape[1], members * k
    across, explained = Rows(work.across, 0, rows), Rows(work.explained, 0, rows)
    for i in range(wide * rows):
        work.explained[i] = 0.0
    add_products(across, wide, Rows(work.joint, 0, rows), rows, 0, rows, 1.0, False, explained)
    for i in range(rows):
        here = blocks.panel_at[node] + i * wide
        for j in range(wide):
            work.covariance[here + j] = -work.explained[j * rows + i]
    for member in range(members):
        at = blocks.square_at[node] + member * k * k
        for i in range(k * k):
            work.covariance[at + i] = 0.0
        own = Rows(work.covariance, at, k)
        square(Rows(work.upper, member * k * k, k), k, own)
        add_products(
            shifted(explained, member * k, 0), k, shifted(across, member * k, 0), k, 0, rows, 1.0, True, own
        )


@compiled()
def _residual(blocks: Sparse, work: Work, beta: Floats) -> None:
    """Conditional modes b = Λu, and w."""
    for at in range(len(blocks.group)):
        f, effect = blocks.group[at]
        for i in range(blocks.size[f]):
            total = 0.0
            for m in range(i + 1):
                total += work.lam[f, i, m] * work.u[effect + m]
            work.modes[effect + i] = total
            total = work.zy[effect + i]
            for j in range(len(beta)):
                total -= blocks.zq[effect + i, j] * beta[j]
            work.w[effect + i] = total
    for e in range(len(blocks.entry)):
        _, _, f, row, g, column, cross = blocks.entry[e]
        wide = blocks.size[g]
        for i in range(blocks.size[f]):
            for j in range(wide):
                value = blocks.cross[cross + i * wide + j]
                work.w[row + i] -= value * work.modes[column + j]
                if row != column:
                    work.w[column + j] -= value * work.modes[row + i]


@compiled()
def _collect(blocks: Sparse, work: Work, weight: float, reml: bool) -> None:
    """Σ ([Z̃'Z̃Λ, Z̃'Q] C)_own − (n/r²) w u' over the groups of each factor."""
    lam, c, g_of, p = work.lam, work.covariance, work.g, blocks.zq.shape[1]
    for f in range(len(blocks.size)):
        for i in range(blocks.size[f]):
            for j in range(blocks.size[f]):
                g_of[f, i, j] = 0.0
    for e in range(len(blocks.entry)):
        at, step, f, row, g, column, cross = blocks.entry[e]
        height, wide = blocks.size[f], blocks.size[g]
        for i in range(height):
            for j in range(wide):
                value = blocks.cross[cross + i * wide + j]
                # rows' factor: A Λ_g C_column,row
                for n in range(j + 1):
                    part = value * lam[g, j, n]
                    for m in range(height):
                        high, low = (m, n) if row != column or m >= n else (n, m)
                        g_of[f, i, m] += part * c[at + high * step + low]
                if row != column:
                    for m in range(i + 1):
                        part = value * lam[f, i, m]
                        for n in range(wide):
                            g_of[g, j, n] += part * c[at + m * step + n]
    node = 0
    for which in range(len(blocks.group)):
        f, effect = blocks.group[which]
        while effect >= blocks.effect_at[node + 1]:
            node += 1
        own = blocks.members[node] * blocks.k[node]
        rows = blocks.row_at[node + 1] - blocks.row_at[node]
        here = blocks.panel_at[node] + rows * own + effect - blocks.effect_at[node]
        for i in range(blocks.size[f]):
            for j in range(blocks.size[f]):
                total = -weight * work.w[effect + i] * work.u[effect + j]
                if reml:
                    for q in range(p):
                        total += blocks.zq[effect + i, q] * c[here + q * own + j]
                g_of[f, i, j] += total

"""A law: how the best peak LR and batch move with scale, how sure that is, and where it came from.

Fitted laws (`law.json`) and published ones (`published/laws.toml`) are the same record, so that planning
and checking never ask which kind they hold. Everything here is plain Python: planning a single target
must not pay for importing numpy.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from hptransfer.errors import InputError, Problem, plain

SCHEMA_VERSION = 1
"""The newest law.json this version reads and the one it writes."""

Input = Literal[
    "params", "tokens", "batch_tokens", "flops", "tokens_per_param",
    "loss", "width", "depth", "active_ratio", "experts",
]  # fmt: skip
"""What a law may ask for: counts, tokens, FLOP, nats per token; active_ratio is active over all experts."""

Form = Literal["power", "linear-in-log"]
Certainty = Literal["verified", "second-hand", "recalled", "uncertain", "fitted"]
ParamsKind = Literal["non-embedding", "total", "active", "unspecified"]
LossUnit = Literal["nats", "bits", "bpb", "perplexity"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Scale = Annotated[float, Field(ge=1e-40, le=1e40)]  # far beyond any run: ratios of two stay finite


def _in_order(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        msg = "need the smaller end first"
        raise ValueError(msg)
    return span


Span = Annotated[tuple[Scale, Scale], AfterValidator(_in_order)]


class Record(BaseModel):
    """Base of every saved record: immutable, unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Bend(Record):
    """A possible curvature of a law along one input, of unknown sign: it widens intervals and moves nothing.

    A unit bend is scale * (sqrt(1 + ((log input - middle) / scale)^2) - 1), quadratic near the data and
    straight beyond; `mimicked` is the power law that looks like it inside the data.
    """

    input: Input
    middle: FiniteFloat  # natural log
    scale: Positive  # natural logs
    variance: NonNegative
    mimicked: tuple[FiniteFloat, ...]  # (log_coefficient, *exponents)


class Uncertainty(Record):
    """What the spread of a prediction in natural logs is made of.

    At inputs x = (1, log input 1, ...) the variance is x' covariance x + structural_variance(distance) +
    form + bends + cell_variance, where the distance in natural logs is that of (log params, log tokens)
    beyond the fitted range, form = max(x' between x, (x . form)^2 / 2), and each bend adds its variance
    times the square of (bend - x . mimicked). The 90 % interval is mean +- quantile * std; with `cell_df`
    the quantile is Student's t at cell_df * (variance / (x' covariance x + cell_variance))^2 degrees of
    freedom: only what rests on the cells' scatter has few of them (Satterthwaite).
    """

    covariance: tuple[tuple[FiniteFloat, ...], ...]  # of (log_coefficient, *exponents), in that order
    quantile: Positive = 1.6448536269514722  # two-sided 90 %: normal, or Student's t with few cells
    structural_std: NonNegative = 0.0  # natural logs, inside the range
    structural_slope: NonNegative = 0.0  # logs per log beyond the range
    cell_std: NonNegative = 0.0  # scatter of one cell's own optimum
    cell_df: Positive | None = None  # degrees of freedom behind the cells' scatter
    between: tuple[tuple[FiniteFloat, ...], ...] | None = None  # covariance over what was averaged
    form: tuple[FiniteFloat, ...] | None = None  # an equally good law minus this one
    bends: tuple[Bend, ...] = ()

    @model_validator(mode="after")
    def _covariance_is_one(self) -> Uncertainty:
        rows = self.covariance
        size = range(len(rows))
        if any(len(row) != len(rows) for row in rows) or any(rows[i][i] < 0 for i in size):
            msg = "covariance must be square, without negative variances"
            raise ValueError(msg)
        for i, j in itertools.combinations(size, 2):
            bound = (rows[i][i] * rows[j][j]) ** 0.5
            if abs(rows[i][j]) > bound * (1 + 1e-6) or abs(rows[i][j] - rows[j][i]) > 1e-6 * bound:
                msg = f"covariance must be symmetric, and entry {i}, {j} no more than its variances allow"
                raise ValueError(msg)
        return self


class PowerLaw(Record):
    """y = exp(log_coefficient) * prod(input ** exponent); natural logs, inputs in counts and tokens.

    In the form "linear-in-log" it is exp(log_coefficient) * (1 + sum(exponent * ln input)), which is
    positive in part of the world only: a plan refuses where it is not.
    """

    log_coefficient: FiniteFloat
    exponents: dict[Input, FiniteFloat]
    form: Form = "power"
    uncertainty: Uncertainty | None = None
    certainty: Certainty = "fitted"
    source: str = ""

    @model_validator(mode="after")
    def _covariance_is_square(self) -> PowerLaw:
        if self.uncertainty is not None:
            size = 1 + len(self.exponents)
            shape = [len(row) for row in self.uncertainty.covariance]
            if shape != [size] * size:
                msg = f"covariance must be {size} x {size}: one row for the coefficient and one an exponent"
                raise ValueError(msg)
            between = self.uncertainty.between or ()
            vectors = [*between, *(bend.mimicked for bend in self.uncertainty.bends)]
            if self.uncertainty.form is not None:
                vectors.append(self.uncertainty.form)
            if len(between) not in (0, size) or any(len(vector) != size for vector in vectors):
                msg = f"between, form and mimicked must have {size} entries, as covariance has"
                raise ValueError(msg)
        return self


class Bowl(Record):
    """Excess log loss around the optimum; u = log(lr / best lr), v = log(batch / best batch), natural logs.

    exp(log_amplitude . (logs - centre)) * sum of terms * u^i v^j over `powers`, trusted inside the box.
    """

    powers: tuple[tuple[Annotated[int, Field(ge=0, le=6)], Annotated[int, Field(ge=0, le=6)]], ...]
    terms: tuple[FiniteFloat, ...]  # log loss
    log_amplitude: dict[Literal["params", "tokens"], FiniteFloat] = {}
    centre: dict[Literal["params", "tokens"], FiniteFloat] = {}  # natural logs
    trusted_u: tuple[FiniteFloat, FiniteFloat]  # where the sweep had runs
    trusted_v: tuple[FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _is_a_bowl(self) -> Bowl:
        terms = dict(zip(self.powers, self.terms, strict=False))
        uu, uv, vv = (terms.get(power, 0.0) for power in ((2, 0), (1, 1), (0, 2)))
        spans = (self.trusted_u, self.trusted_v)
        convex = uu > 0 and vv > 0 and 4 * uu * vv > uv**2
        whole = len(self.powers) == len(self.terms) == len(terms) and all(sum(p) >= 2 for p in self.powers)
        if not (convex and whole and all(low < 0 < high for low, high in spans)):
            msg = "needs a term for u^2, u v and v^2 with a minimum at the optimum, inside the trusted box"
            raise ValueError(msg)
        if set(self.log_amplitude) != set(self.centre):
            msg = "log_amplitude and centre must name the same inputs"
            raise ValueError(msg)
        return self


class LossTerm(Record):
    """One term of a loss law: coefficient / input ** exponent."""

    input: Input
    coefficient: Positive
    exponent: Positive


class LossInteraction(Record):
    """How the tokens term moves with params; logs are natural, taken from the centre of the fitted points.

    It is divided by params ** level_exponent, and its exponent multiplied by params ** growth.
    """

    level_exponent: FiniteFloat
    growth: FiniteFloat
    centre_params: FiniteFloat
    centre_tokens: FiniteFloat


class LossFit(Record):
    """How a fitted loss law came about."""

    form: str
    points: int
    seed: int
    resamples: int
    residual_std: Positive  # log loss: noise and lack of fit of single points, 90 % within 1.645 times it
    p_values: dict[str, FiniteFloat] = {}  # of richer forms against the one chosen before, held-out compute
    held_out_error: NonNegative | None = None  # mean absolute error in log loss of compute not fitted on
    intervals: dict[str, tuple[FiniteFloat, FiniteFloat]] = {}  # 90 %, of resampled coefficients by name
    at_bounds: tuple[str, ...] = ()  # coefficients that ended at an end of their box


class LossLaw(Record):
    """loss = floor + (sum of terms) ** outer_exponent, on the corpus and with the tokenizer of its runs.

    The uncertainty is that of log loss: x is its gradient by (log floor, then log coefficient and exponent
    of each term, then log outer_exponent or level_exponent and growth), and the distance is that beyond
    `fitted_on`, where flops (6 params tokens) counts too.
    """

    floor: NonNegative = 0.0
    terms: Annotated[tuple[LossTerm, ...], Field(min_length=1)]
    outer_exponent: Positive = 1.0
    interaction: LossInteraction | None = None
    uncertainty: Uncertainty | None = None
    fitted_on: dict[Input, Span] = {}
    unit: LossUnit = "nats"  # a law fitted to perplexity predicts its logarithm, which is in nats
    fit: LossFit | None = None
    certainty: Certainty = "fitted"
    source: str = ""

    @model_validator(mode="after")
    def _covariance_fits_the_form(self) -> LossLaw:
        size = 1 + 2 * len(self.terms)
        sizes = (size, size + 1) if self.interaction is None else (size + 2,)
        if self.uncertainty is not None:
            rows = self.uncertainty.covariance
            if len(rows) not in sizes or any(len(row) != len(rows) for row in rows):
                msg = f"covariance must be square with {' or '.join(map(str, sizes))} rows"
                raise ValueError(msg)
        return self


class Note(Record):
    """A coded warning: the code is stable, the message says what, where and what to do."""

    code: str
    message: str


class CellSummary(Record):
    """What the sweep showed in one cell."""

    params: Positive
    tokens: Positive
    runs: int
    diverged: int
    best_loss: Positive
    best_lr: Positive
    best_batch_tokens: Positive | None
    near_optimal_runs: int | None = None
    edges: tuple[str, ...] = ()  # "lr-low", "lr-high", "batch-low", "batch-high": best run on the grid's edge


class Source(Record):
    """An input file, by name and content; `columns` maps canonical names to its headers."""

    file: str
    sha256: str
    columns: dict[str, str]


class SetAsideCount(Record):
    """How many runs were set aside for one reason, and an example."""

    reason: str
    runs: int
    example: str


class Member(Record):
    """One of the fits that a law averages: a surface, or a regression of the cells' centroids."""

    family: Literal["surface", "centroid"]
    fade: Positive  # log loss: a run's weight falls by e over this excess
    excess: float  # mean log loss lost on cells left out of its fit, above their own optimum
    weight: Annotated[float, Field(ge=0, le=1)]


class Choices(Record):
    """What a fit chose from the runs themselves, by a backtest inside them."""

    members: tuple[Member, ...]
    fade_unit: Positive  # log loss: the sweep's own scale of excess
    noise_std: Positive  # log loss, near the optimum, lack of fit included
    offset_std: dict[str, FiniteFloat]  # natural logs: how far cells sit off the law, by quantity
    runs: int  # that the members were weighed on


class Curvature(Record):
    """How a law bends along one input, in natural logs per squared log, with its standard deviation."""

    value: FiniteFloat
    std: Positive


class Repeats(Record):
    """Runs of one cell, LR and batch that were made more than once, near their cell's best."""

    runs: int
    degrees: int  # of freedom
    std: NonNegative  # of log loss, pooled


class CellInfluence(Record):
    """One cell against the line through all the others; by quantity: peak_lr, batch_tokens, loss, noise.

    `t` is Student's t of its own value against the others, `change` how far leaving it out moves the log of
    what is planned at ten times the largest compute.
    """

    params: Positive
    tokens: Positive
    t: dict[str, FiniteFloat] = {}
    change: dict[str, FiniteFloat] = {}


class Evidence(Record):
    """What the runs say about the design, the noise and each cell; see docs/diagnostics.md."""

    condition: Positive | None = None  # largest over smallest spread of the cells in (log params, log tokens)
    correlation: FiniteFloat | None = None  # of log params and log tokens over cells
    repeats: Repeats | None = None
    noise_std: Positive | None = None  # log loss about each cell's own polynomial, median over cells
    influence: tuple[CellInfluence, ...] = ()


class TrackRecord(Record):
    """How plans by the same estimator did on the sweep's own largest scales, held out from the fit.

    `mean_excess` is by method, the law's own estimator first, in fractions of the loss.
    """

    splits: Annotated[int, Field(gt=0)]
    cells: int  # held-out cells that were priced, each counted once
    mean_excess: dict[str, FiniteFloat]
    optima_judged: int  # held-out optima with an interval
    optima_covered: int
    verdict: str


class ExponentTest(Record):
    """How the best LR moves with the batch inside single cells: LR ~ batch^value at fixed params and tokens.

    `flattens` is the change of that exponent per e-fold of batch with its 90 % interval; negative where the
    LR saturates. It is about each cell's own batches, not about the law's optimum.
    """

    value: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat]  # 90 %, clustered by cell
    cells: Annotated[int, Field(gt=0)]
    slices: Annotated[int, Field(gt=0)]  # (cell, batch) pairs with their best LR inside their grid
    flattens: tuple[FiniteFloat, FiniteFloat, FiniteFloat] | None = None  # value, low, high
    verdict: str


class FreedExponent(Record):
    """An exponent that a form fixes at zero, let free: what the runs make of it."""

    value: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat]  # 90 %
    p_value: Annotated[float, Field(ge=0, le=1)]  # chance of a value this far from zero if it were zero


class PowerSchedulerTests(Record):
    """What the runs say about LR / batch = a tokens^b, one (LR / batch) a cell.

    `params_exponent` is that of params in LR / batch at fixed tokens; `drift` the change of b per e-fold of
    params. None where the cells cannot say.
    """

    cells: Annotated[int, Field(gt=0)]
    params_exponent: FreedExponent | None = None
    drift: FreedExponent | None = None


class Fit(Record):
    """How a fitted law came about.

    `data_share` says for each exponent (`peak_lr.params`, ...) what fraction of its information came from the
    data, the rest coming from the prior; `bend` how the cells' optima curve along each input.
    """

    estimator: str
    options: dict[str, str | float | int | bool | None]
    prior: str
    prior_used: bool
    seed: int
    resamples: int
    runs: int
    runs_used: int
    set_aside: tuple[SetAsideCount, ...]
    cells: tuple[CellSummary, ...]
    sources: tuple[Source, ...]
    data_share: dict[str, FiniteFloat] = {}
    choices: Choices | None = None
    bend: dict[str, Curvature] = {}
    evidence: Evidence | None = None
    lr_batch: ExponentTest | None = None  # None where the runs cannot say
    track_record: TrackRecord | None = None
    power_scheduler: PowerSchedulerTests | None = None  # of a law of that form
    draw_columns: tuple[str, ...] = ()
    draws: tuple[tuple[FiniteFloat, ...], ...] = ()  # one bootstrap draw a line in the file


class Recalled(Record):
    """A setting of a published law's runs that could not be verified: shown beside a plan, never used."""

    name: str
    value: float
    why: str


class Law(Record):
    """A law with everything a plan needs. See the module docstring."""

    schema_version: Literal[1] = 1
    id: str
    title: str
    hptransfer_version: str | None = None
    peak_lr: PowerLaw | None  # at the law's own batch, unless batch_tokens is among its inputs
    peak_lr_cap: Positive | None = None
    batch_tokens: PowerLaw | None
    batch_held: Positive | None = None  # tokens; the one batch of all runs behind a law without a batch law
    critical_batch: PowerLaw | None = (
        None  # tokens, of the fewest `tokens` that reach the loss; see docs/batch.md
    )
    critical_overhead: Positive = 1.0  # tokens beyond the fewest at that batch, as a share; McCandlish: 1
    lr_batch_exponent: FiniteFloat | None = None  # d log LR* / d log batch at fixed params and tokens
    bowl: Bowl | None = None  # what being off the optimum costs
    loss: LossLaw | None = None  # what a well-tuned run reaches
    tau_ema: PowerLaw | None = None  # AdamW timescale, fraction of the run
    params_kind: ParamsKind = "unspecified"
    seq_len: Annotated[int, Field(gt=0, le=10**9)] | None = (
        None  # tokens per sequence in the runs behind the law
    )
    loss_unit: LossUnit | None = None
    setting: dict[str, str | FiniteFloat] = {}
    recalled: tuple[Recalled, ...] = ()
    flops_formula: Literal["6ND", "MD"] | None = None
    fitted_on: dict[Input, Span] = {}
    warnings: tuple[Note, ...] = ()
    fit: Fit | None = None

    @property
    def experimental(self) -> bool:
        """Whether any coefficient is only recalled or uncertain."""
        parts = (self.peak_lr, self.batch_tokens, self.critical_batch, self.tau_ema, self.loss)
        return any(part is not None and part.certainty in ("recalled", "uncertain") for part in parts)

    def digest(self) -> str:
        """SHA-256 of what decides a plan: the numbers and the setting, not titles, sources or evidence."""
        decisive = self.model_dump(mode="json", include={*_DECISIVE, *_DECISIVE_IF_PRESENT})
        for name in _DECISIVE_IF_PRESENT:
            if decisive[name] is None:
                del decisive[name]
        for name in _SOURCED:
            if decisive.get(name) is not None:
                decisive[name].pop("source")
                decisive[name].pop("fit", None)
                if decisive[name].get("form") == "power":
                    del decisive[name]["form"]
        canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


_DECISIVE = (
    "peak_lr",
    "peak_lr_cap",
    "batch_tokens",
    "lr_batch_exponent",
    "tau_ema",
    "params_kind",
    "seq_len",
    "setting",
    "flops_formula",
    "fitted_on",
)
_DECISIVE_IF_PRESENT = (
    "batch_held",
    "bowl",
    "critical_batch",
    "loss",
)  # absent, they leave digests as they were
_SOURCED = ("peak_lr", "batch_tokens", "critical_batch", "tau_ema", "loss")

_DRAWS = "@draws"


def law_to_json(law: Law) -> str:
    """Write a law as strict JSON text, one bootstrap draw a line, ending in a newline."""
    content = law.model_dump(mode="json")
    draws: list[list[float]] = []
    if content["fit"] is not None:
        draws, content["fit"]["draws"] = content["fit"]["draws"], _DRAWS
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    lines = ",\n".join(f"      {json.dumps(draw, allow_nan=False)}" for draw in draws)
    return text.replace(f'"{_DRAWS}"', f"[\n{lines}\n    ]" if draws else "[]") + "\n"


def law_from_json(text: str, name: str) -> Law:
    """Read a law from JSON text; `name` is the file as the user gave it.

    Raises:  InputError naming line or field for anything but a law this version can read.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        what = error.msg if isinstance(error, json.JSONDecodeError) else plain(error)
        if not text.lstrip().startswith(("{", "[")) and "," in text.strip().partition("\n")[0]:
            problem = Problem(name, None, None, "a table of runs, it seems, not a law.")
            raise InputError(
                [problem], way_out=f"`hptransfer fit {plain(name)} -o law.json` makes a law of it."
            ) from None
        problem = Problem(name, line, None, f"not a complete JSON document ({what}).")
        raise InputError(
            [problem], way_out="Write it again with `hptransfer fit SWEEP -o LAW.json`."
        ) from None
    return _law_from_content(content, name)


def _refuse_constant(constant: str) -> NoReturn:
    msg = f"{constant} is not strict JSON"
    raise ValueError(msg)


def _law_from_content(content: Any, name: str) -> Law:
    if not isinstance(content, dict) or "schema_version" not in content:
        problem = Problem(name, None, None, "JSON, but not a law: it has no schema_version.")
        raise InputError([problem], way_out="A law comes from `hptransfer fit SWEEP -o LAW.json`.")
    version = content["schema_version"]
    if isinstance(version, int) and version > SCHEMA_VERSION:
        message = f"got {version}, this hptransfer reads up to {SCHEMA_VERSION}."
        raise InputError([Problem(name, None, "schema_version", message)], way_out="Upgrade hptransfer.")
    try:
        return Law.model_validate_json(json.dumps(content), strict=True)  # true is no number
    except ValidationError as error:
        raise InputError(problems_of(error, name), way_out="Was the file edited by hand?") from None


def problems_of(error: ValidationError, name: str) -> list[Problem]:
    """Turn what pydantic found into problems that name the file, the field and the value."""
    return [
        Problem(
            name,
            None,
            ".".join(str(part) for part in item["loc"]) or None,
            f"{item['msg']} (got {plain(item.get('input'), limit=60)!r}).",
        )
        for item in error.errors(include_url=False)
    ]

"""Shapes of decoder-only Transformers: parameters, FLOPs per token, and shapes for a number of parameters.

Counted are matrices and norm gains, biases are not: below 0.1 % of any model worth planning for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hptransfer.errors import InputError, Problem, UsageError, plain

DEFAULT_ASPECT = 128  # width / depth of Llama-like models of some billion parameters
DEFAULT_HEAD_DIM = 128
FFN_MULTIPLE = 256  # gated feed-forward widths are rounded up to this, as in Llama


@dataclass(frozen=True)
class Shape:
    """A decoder-only Transformer; widths count features, depth residual blocks."""

    width: int
    depth: int
    heads: int
    head_dim: int
    kv_heads: int
    ffn: int  # of one expert, where there are several
    gated: bool = True  # three feed-forward matrices (SwiGLU) rather than two
    vocab: int | None = None
    tied: bool = False  # one matrix for embedding and readout
    experts: int = 1
    active_experts: int = 1


@dataclass(frozen=True)
class Counts:
    """Parameters of a shape; with embeddings only where the vocabulary is known."""

    non_embedding: int
    active_non_embedding: int
    embedding: int | None  # embedding and readout
    total: int | None
    active: int | None


def make_shape(
    *,
    width: int,
    depth: int,
    heads: int | None = None,
    head_dim: int | None = None,
    kv_heads: int | None = None,
    ffn: int | None = None,
    gated: bool = True,
    vocab: int | None = None,
    tied: bool = False,
    experts: int = 1,
    active_experts: int | None = None,
) -> Shape:
    """Fill in what is usual for what is not said.

    Heads of 128 features where they divide the width (else 64, else one head), as many key-value heads as
    heads, a feed-forward width of 4 * width (8/3 * width when gated, rounded up to 256), all experts active.

    Raises:  UsageError for numbers that contradict each other.
    """
    if heads is None:
        size = head_dim or next((d for d in (DEFAULT_HEAD_DIM, 64) if width % d == 0), width)
        heads = max(1, width // size)
        head_dim = size
    elif head_dim is None:
        if width % heads:
            msg = f"--heads {heads} does not divide --width {width}: add --head-dim."
            raise UsageError(msg)
        head_dim = width // heads
    kv_heads = heads if kv_heads is None else kv_heads
    if heads % kv_heads:
        msg = f"--kv-heads {kv_heads} does not divide the {heads} heads."
        raise UsageError(msg)
    active = experts if active_experts is None else active_experts
    if active > experts:
        msg = f"--active-experts {active} of --experts {experts}: more are active than there are."
        raise UsageError(msg)
    return Shape(
        width=width,
        depth=depth,
        heads=heads,
        head_dim=head_dim,
        kv_heads=kv_heads,
        ffn=usual_ffn(width, gated=gated) if ffn is None else ffn,
        gated=gated,
        vocab=vocab,
        tied=tied,
        experts=experts,
        active_experts=active,
    )


def usual_ffn(width: int, *, gated: bool) -> int:
    """Feed-forward width of 8 width^2 parameters a block.

    >>> usual_ffn(4096, gated=True), usual_ffn(768, gated=False)
    (11008, 3072)
    """
    return math.ceil(8 * width / 3 / FFN_MULTIPLE) * FFN_MULTIPLE if gated else 4 * width


def count_params(shape: Shape) -> Counts:
    """Count parameters.

    A block has width * head_dim * (2 heads + 2 kv_heads) in attention, 2 or 3 * width * ffn in each expert,
    width * experts in a router, 2 * width in norms; the model width in its final norm and vocab * width in
    the embedding, and again in the readout unless tied.

    >>> llama = make_shape(width=4096, depth=32, ffn=11008, vocab=32000)  # Llama 2 7B: 6,738,415,616
    >>> count_params(llama).total
    6738415616
    """
    outside_experts = shape.width + shape.depth * (_attention(shape) + 2 * shape.width + _router(shape))
    expert = shape.depth * _expert(shape)
    non_embedding = outside_experts + shape.experts * expert
    active = outside_experts + shape.active_experts * expert
    if shape.vocab is None:
        return Counts(non_embedding, active, None, None, None)
    embedding = shape.vocab * shape.width * (1 if shape.tied else 2)
    return Counts(non_embedding, active, embedding, non_embedding + embedding, active + embedding)


def flops_per_token(shape: Shape, *, seq_len: int) -> float:
    """Training FLOP per token: 6 per active matrix parameter, readout included, and attention over `seq_len`.

    Attention is 12 * depth * heads * head_dim * seq_len: scores and sums over the whole sequence, forward and
    backward, the causal half not taken off.
    Source:  Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, appendix B.
    """
    matrices = shape.depth * (_attention(shape) + _router(shape) + shape.active_experts * _expert(shape))
    readout = 0 if shape.vocab is None else shape.vocab * shape.width
    return 6.0 * (matrices + readout) + 12.0 * shape.depth * shape.heads * shape.head_dim * seq_len


def _attention(shape: Shape) -> int:
    return shape.width * shape.head_dim * 2 * (shape.heads + shape.kv_heads)


def _expert(shape: Shape) -> int:
    return (3 if shape.gated else 2) * shape.width * shape.ffn


def _router(shape: Shape) -> int:
    return shape.width * shape.experts if shape.experts > 1 else 0


def params_of(shape: Shape, kind: str) -> int:
    """Parameters of a shape, counted as asked; "active" leaves out experts that do not see a token.

    Raises:  UsageError where the vocabulary is needed and not known.
    """
    counts = count_params(shape)
    found = {"non-embedding": counts.non_embedding, "total": counts.total, "active": counts.active}[kind]
    if found is None:
        msg = f"{kind} params count embeddings: add --vocab, or use --params-kind non-embedding."
        raise UsageError(msg)
    return found


def require_consistent_params(shape: Shape, params: float, kind: str) -> None:
    """Raise UsageError where a stated number of params cannot be this shape's.

    Within 25 % passes, as feed-forward width and heads may be defaults here; where nobody says what params
    counts, anything from the non-embedding to the total number (twice the former, vocabulary unknown).
    """
    counts = count_params(shape)
    with_embeddings = float(counts.total or 2 * counts.non_embedding)
    low, high = {
        "non-embedding": (counts.non_embedding, counts.non_embedding),
        "total": (counts.total or counts.non_embedding, with_embeddings),
        "active": (counts.active_non_embedding, counts.active or with_embeddings),
    }.get(kind, (counts.non_embedding, with_embeddings))
    if not low / 1.25 <= params <= high * 1.25:
        msg = (
            f"--params {params:.4g} contradicts the shape: width {shape.width}, depth {shape.depth}, "
            f"feed-forward {shape.ffn}, {shape.heads} heads have {counts.non_embedding:,} non-embedding "
            "params. Leave out --params to take the shape's, or correct the shape."
        )
        raise UsageError(msg)


def propose_shapes(
    params: float, *, aspect: float = DEFAULT_ASPECT, head_dim: int = DEFAULT_HEAD_DIM, count: int = 5
) -> list[Shape]:
    """Shapes with about `params` non-embedding parameters, gated, full attention, widths in whole heads.

    The depth of each width is the one that comes nearest to `params`; widths are ranked by how near
    width / depth comes to `aspect` and params to what is asked.

    Raises:  UsageError when no shape comes within 10 % of `params`.
    """
    start = max(1, round((params * aspect / 12) ** (1 / 3) / head_dim))
    found = []
    for heads in range(max(1, start // 2), 2 * start + 2):
        width = heads * head_dim
        block = count_params(make_shape(width=width, depth=1, heads=heads)).non_embedding - width
        shape = make_shape(width=width, depth=max(1, round((params - width) / block)), heads=heads)
        off = abs(math.log(count_params(shape).non_embedding / params))
        if off <= math.log(1.1):
            found.append((abs(math.log(width / shape.depth / aspect)) + 5 * off, shape))
    if not found:
        msg = f"no shape with heads of {head_dim} comes within 10 % of {params:.4g} params: try --head-dim."
        raise UsageError(msg)
    return [shape for _, shape in sorted(found, key=lambda item: item[0])[:count]]


_NAMES: Mapping[str, tuple[str, ...]] = {  # field -> keys in configs of Hugging Face models
    "width": ("hidden_size", "n_embd", "d_model"),
    "depth": ("num_hidden_layers", "n_layer", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "head_dim": ("head_dim",),
    "kv_heads": ("num_key_value_heads",),
    "ffn": ("moe_intermediate_size", "intermediate_size", "n_inner", "ffn_dim"),
    "vocab": ("vocab_size",),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "active_experts": ("num_experts_per_tok",),
}
_UNGATED_TYPES = ("gpt2", "gpt_neox", "gptj", "opt", "bloom", "phi", "falcon", "starcoder2", "gpt_bigcode")
_TIED_BY_DEFAULT = ("gpt2", "gemma", "gemma2", "bloom", "opt", "gpt_bigcode")


def shape_from_model_config(text: str, name: str) -> Shape:
    """Read the shape from a Hugging Face `config.json`; `name` is the file as the user gave it.

    Raises:  InputError for anything but a config that says width and depth.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError([Problem(name, None, None, f"no JSON ({plain(error)}).")]) from None
    if not isinstance(content, dict):
        raise InputError([Problem(name, None, None, "need a JSON object, as in a model's config.json.")])
    content = content.get("text_config", content) if isinstance(content.get("text_config"), dict) else content
    sizes = {field: _size(content, keys, name) for field, keys in _NAMES.items()}
    missing = [field for field in ("width", "depth") if sizes[field] is None]
    if missing:
        problems = [Problem(name, None, field, f"none of {', '.join(_NAMES[field])}.") for field in missing]
        raise InputError(problems)
    model_type = str(content.get("model_type", ""))
    given: dict[str, Any] = {field: size for field, size in sizes.items() if size is not None}
    return make_shape(
        **given,
        gated=model_type not in _UNGATED_TYPES,
        tied=bool(content.get("tie_word_embeddings", model_type in _TIED_BY_DEFAULT)),
    )


def _size(content: Mapping[str, Any], keys: tuple[str, ...], name: str) -> int | None:
    key = next((key for key in keys if content.get(key) is not None), None)
    if key is None:
        return None
    value = content[key]
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InputError([Problem(name, None, key, f"got {plain(value)!r}, need a positive whole number.")])
    return value

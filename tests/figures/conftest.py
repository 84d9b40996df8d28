"""The shipped sweep, its law and a plan beyond it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hptransfer.fitting import fit
from hptransfer.law import Law
from hptransfer.planning import Plan, Target, plan
from hptransfer.readers import read_sweep
from hptransfer.sweep import Sweep

SHIPPED = Path(__file__).parents[2] / "examples" / "proxies" / "sweep.csv"


@pytest.fixture(scope="session")
def sweep() -> Sweep:
    return read_sweep([str(SHIPPED)])


@pytest.fixture(scope="session")
def law(sweep: Sweep) -> Law:
    return fit(sweep, resamples=20)


@pytest.fixture(scope="session")
def planned(law: Law) -> Plan:
    return plan(law, Target(params=294_912, tokens=3_145_728))

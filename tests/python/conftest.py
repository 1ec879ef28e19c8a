"""What the Python tests share."""

import gc
import os
from pathlib import Path

import pytest

import taut


@pytest.fixture(autouse=True)
def _fresh_state():
    """Every test starts from the same seed, modes and print options, and leaves no mode behind."""
    taut.manual_seed(0)
    yield
    assert taut.is_grad_enabled()
    assert not taut.is_inference_mode_enabled()
    taut.set_printoptions(profile="default")
    taut.set_default_dtype(taut.float32)


@pytest.fixture
def tmp_path(request, tmp_path):
    """What the tests of taut.ai write is kept where tests/ai/search_for_keys.py finds it; that of others need not be searched."""
    run = os.environ.get("TAUT_TEST_AI_RUN")
    if run is None or not request.module.__name__.startswith("ai_"):
        return tmp_path
    folder = Path(run) / "files" / "python" / tmp_path.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def no_leak():
    """Fails when storages made during the test are still there at its end."""
    gc.collect()
    before = taut._C._live_storages()
    yield
    gc.collect()
    assert taut._C._live_storages() == before

import pytest

from tests.unit.ingress.memory import Surface, surface


@pytest.fixture
async def api(tmp_path) -> Surface:
    made = surface(tmp_path)
    async with made.client:
        yield made

"""Which pages of other addresses may call, and how the others are told."""

import pytest

from deployments.settings import IngressSettings
from tests.unit.ingress.memory import surface
from tests.unit.ingress.test_problems import problem


async def test_a_foreign_page_s_preflight_is_refused_in_words(api):
    asked = await api.client.options(
        "/api/generate",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert "cors.origins" in problem(asked, 403, "origin_not_allowed")
    assert "access-control-allow-origin" not in asked.headers
    assert "Origin" in asked.headers["vary"]


@pytest.mark.parametrize("allowed", [True, False])
async def test_pages_may_call_into_a_private_network_where_that_is_configured(tmp_path, allowed):
    made = surface(tmp_path, IngressSettings(cors={"private_network": allowed}))
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    async with made.client as client:
        answer = await client.options("/api/generate", headers=headers)
    if allowed:
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-private-network"] == "true"
    else:
        assert "cors.private_network" in problem(answer, 403, "origin_not_allowed")
